/** AdamW and the moving average of the weights, as elementwise work on flat vectors. */
import { type Tensor, type Tensor1D, tf } from '../engine/tf.js';
import type { vectorNames } from './vectors.js';

export interface OptimizerOptions {
  /** Adam's decay of the first moment (Kingma & Ba 2015). */
  readonly beta1: number;
  /** Adam's decay of the second moment. */
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled weight decay (Loshchilov & Hutter 2019, AdamW), per step and unit of learning rate. */
  readonly weightDecay: number;
  /** Largest global norm of the gradient; 0 leaves it as it is. */
  readonly maxGradNorm: number;
}

/** AdamW in diffusers' training examples, with the gradient's norm held to 1. */
export const defaultOptimizer: OptimizerOptions = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 1e-6,
  maxGradNorm: 1,
};

/**
 * The numbers of an update, for `adamW`. The bias corrections and the gradient's scale are folded into them, so that
 * no pass over the vectors is spent on either.
 * @param step from 1
 * @param gradScale what the gradient is multiplied by first
 */
export function coefficients(
  { beta1, beta2, epsilon, weightDecay }: OptimizerOptions,
  step: number,
  learningRate: number,
  emaDecay: number,
  gradScale = 1,
): Float32Array {
  const correction2 = Math.sqrt(1 - beta2 ** step);
  return Float32Array.of(
    beta1,
    (1 - beta1) * gradScale,
    beta2,
    (1 - beta2) * gradScale ** 2,
    epsilon * correction2,
    (learningRate * correction2) / (1 - beta1 ** step),
    1 - learningRate * weightDecay,
    emaDecay,
    1 - emaDecay,
  );
}

export const COEFFICIENTS = 9;

/**
 * One update of the vectors by the gradient `g`. Each vector is read by one operation, on which its successor depends,
 * so a successor may be written where the vector lies.
 * @param numbers of `coefficients`
 */
export function adamW(
  { params, m, v, ema }: Record<(typeof vectorNames)[number], Tensor>,
  g: Tensor,
  numbers: Tensor,
): Record<(typeof vectorNames)[number], Tensor> {
  const [beta1, gain1, beta2, gain2, epsilon, rate, keep, decay, renewal] = Array.from(
    { length: COEFFICIENTS },
    (_, i) => tf.slice(numbers as Tensor1D, i, 1),
  );
  const nextM = tf.add(tf.mul(m, beta1), tf.mul(g, gain1));
  const nextV = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), gain2));
  const update = tf.div(tf.mul(nextM, rate), tf.add(tf.sqrt(nextV), epsilon));
  const next = tf.sub(tf.mul(params, keep), update);
  const nextEma = tf.add(tf.mul(ema, decay), tf.mul(next, renewal));
  return { params: next, m: nextM, v: nextV, ema: nextEma };
}

/** What clipping to `maxGradNorm` multiplies a gradient of this norm by (PyTorch's clip_grad_norm_). */
export const clipScale = (gradNorm: number, maxGradNorm: number): number =>
  maxGradNorm ? Math.min(1, maxGradNorm / (gradNorm + 1e-6)) : 1;
