import * as ops from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor1D, type Tensor4D, tf } from '../engine/tf.js';
import { normSpecs, param } from './layers.js';

const EPS = 1e-5;
/** Share of the newest batch in the running statistics. */
export const BATCH_SHARE = 0.1;

/**
 * Parameters of `batchNorm`: `weight` and `bias`, which train, and the buffers `running_mean` and `running_var`,
 * which the forward pass renews.
 */
export function batchNormSpecs(name: string, channels: number): ParamSpec[] {
  return [
    ...normSpecs(name, channels),
    { name: `${name}.running_mean`, shape: [channels], init: { constant: 0 } },
    { name: `${name}.running_var`, shape: [channels], init: { constant: 1 } },
  ];
}

/** Whether a parameter is a running statistic, which has no gradient. */
export const isBuffer = ({ name }: Pick<ParamSpec, 'name'>): boolean => /running_(mean|var)$/.test(name);

/**
 * Batch normalization (Ioffe & Szegedy 2015) as PyTorch's BatchNorm2d does it: epsilon 1e-5, momentum 0.1. The
 * batch is normalized with its biased variance; the running one takes the unbiased.
 * @param x [N, H, W, C]; in training more than one value a channel
 * @param stats receives the new running statistics, [C] each, by parameter name; null: evaluation, with the old ones
 * @returns [N, H, W, C]
 */
export function batchNorm(
  params: Params,
  name: string,
  x: Tensor4D,
  stats: Record<string, Tensor1D> | null,
): Tensor4D {
  const gamma = param<Tensor1D>(params, `${name}.weight`);
  const beta = param<Tensor1D>(params, `${name}.bias`);
  const runningMean = param<Tensor1D>(params, `${name}.running_mean`);
  const runningVar = param<Tensor1D>(params, `${name}.running_var`);
  if (!stats) {
    const scale = tf.mul(gamma, tf.rsqrt(tf.add(runningVar, EPS)));
    return tf.add(tf.mul(x, scale), tf.sub(beta, tf.mul(runningMean, scale)));
  }
  const mean = tf.mean(x, [0, 1, 2]) as Tensor1D;
  const variance = tf.mean(tf.square(tf.sub(x, mean)), [0, 1, 2]) as Tensor1D;
  const count = x.shape[0] * x.shape[1] * x.shape[2];
  stats[`${name}.running_mean`] = blend(runningMean, mean, 1);
  stats[`${name}.running_var`] = blend(runningVar, variance, count / Math.max(count - 1, 1));
  return ops.batchNorm(x, gamma, beta, EPS);
}

const blend = (old: Tensor1D, batch: Tensor1D, correction: number): Tensor1D =>
  tf.add(tf.mul(old, 1 - BATCH_SHARE), tf.mul(batch, BATCH_SHARE * correction));
