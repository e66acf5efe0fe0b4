/**
 * What a student learns: to land with one step of DDIM where its teacher lands with several (Salimans & Ho 2022,
 * "Progressive distillation for fast sampling of diffusion models", appendix G), for any kind of prediction.
 */
import {
  type ConversionCoefficients,
  conversionCoefficients,
  type PredictionType,
} from '../diffusion/index.js';
import type { Feed } from '../engine/session.js';
import { type Scalar, type Tensor1D, type Tensor4D, tf } from '../engine/tf.js';
import type { DDIMScheduler } from '../schedulers/index.js';
import type { UNetNetwork } from '../unet/index.js';
import type { Walks } from './distill-pool.js';
import type { LossFunction } from './step.js';

/**
 * DDIM's step (Song et al. 2021, eq. 12, without noise) as a linear function of the network's prediction:
 * x_s = output·prediction + sample·x_t.
 * @param alphaProd ᾱ_t of the level that the step begins at
 * @param alphaProdNext ᾱ_s of the level that it ends at, above ᾱ_t; 1 is the clean picture
 * @throws InputError for a prediction that says nothing at this level (ε at ᾱ = 0)
 */
export function landing(
  predictionType: PredictionType,
  alphaProd: number,
  alphaProdNext: number,
): ConversionCoefficients {
  const original = conversionCoefficients(predictionType, 'sample', alphaProd);
  const epsilon = conversionCoefficients(predictionType, 'epsilon', alphaProd);
  const [signal, noise] = [Math.sqrt(alphaProdNext), Math.sqrt(1 - alphaProdNext)];
  return {
    output: signal * original.output + noise * epsilon.output,
    sample: signal * original.sample + noise * epsilon.sample,
  };
}

/**
 * The prediction at x_t whose step of DDIM lands at x_s.
 * @param sample x_t, any shape
 * @param reached x_s, of the same shape
 * @param step of `landing`
 */
export function targetFor(
  sample: Float32Array,
  reached: Float32Array,
  step: ConversionCoefficients,
): Float32Array {
  return reached.map((value, i) => (value - step.sample * sample[i]) / step.output);
}

/** A step of the student: where it begins, and how what it predicts there makes where it ends. */
interface StudentStep {
  readonly timestep: number;
  readonly step: ConversionCoefficients;
}

/** The steps in which a scheduler of DDIM's draws. */
export function studentSteps(scheduler: DDIMScheduler, count: number): StudentStep[] {
  scheduler.setTimesteps(count);
  const { alphasCumprod, config } = scheduler;
  return scheduler.timesteps.map((timestep) => {
    const next = scheduler.previousTimestep(timestep);
    const alphaProdNext = next >= 0 ? alphasCumprod[next] : 1;
    return { timestep, step: landing(config.prediction_type, alphasCumprod[timestep], alphaProdNext) };
  });
}

/**
 * Mean squared distance between where the student's steps land and where its teacher was. Batch: `sample` [N, H, W, C],
 * `timesteps` [N], `target` like `sample`, `weights` [N] (how far a step lands away for a prediction that is off by one,
 * squared), `labels` int32 [N] for a model with classes.
 */
export function landingLoss(network: UNetNetwork): LossFunction {
  return (params, { sample, timesteps, target, weights, labels }) => {
    const prediction = network.predict(params, {
      sample: sample as Tensor4D,
      timesteps: timesteps as Tensor1D,
      labels: labels as Tensor1D | undefined,
    });
    const off = tf.mean(tf.square(tf.sub(prediction, target)), [1, 2, 3]);
    return { loss: tf.mean(tf.mul(off, weights)) as Scalar };
  };
}

/**
 * Inputs of the loss for some pictures: [steps·n, …], a step of the student after another.
 * @param shape of one sample, [H, W, C]
 */
export function landingBatch(
  { states, labels }: Walks,
  shape: readonly number[],
  steps: readonly StudentStep[],
): Record<string, Feed> {
  const each = states[0].length;
  const n = each / shape.reduce((a, b) => a * b);
  const rows = n * steps.length;
  const sample = new Float32Array(rows * (each / n));
  const target = new Float32Array(sample.length);
  const timesteps = new Float32Array(rows);
  const weights = new Float32Array(rows);
  const told = new Int32Array(rows);
  for (const [k, { timestep, step }] of steps.entries()) {
    sample.set(states[k], k * each);
    target.set(targetFor(states[k], states[k + 1], step), k * each);
    timesteps.fill(timestep, k * n, (k + 1) * n);
    weights.fill(step.output ** 2, k * n, (k + 1) * n);
    if (labels) told.set(labels, k * n);
  }
  return {
    sample: { data: sample, shape: [rows, ...shape], dtype: 'float32' },
    target: { data: target, shape: [rows, ...shape], dtype: 'float32' },
    timesteps: { data: timesteps, shape: [rows], dtype: 'float32' },
    weights: { data: weights, shape: [rows], dtype: 'float32' },
    ...(labels && { labels: { data: told, shape: [rows], dtype: 'int32' as const } }),
  };
}
