/**
 * Weights of the loss by noise level that are learned beside the network (Karras et al. 2024, "Analyzing and improving the
 * training dynamics of diffusion models", eq. 20-21, after Kendall et al. 2018): with u(t) the logarithm of the error that is
 * expected at a level, the loss error / e^u + u is least where e^u is the mean error, so that all levels pull alike.
 */
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor, type Tensor2D, tf } from '../engine/tf.js';

/** u is a table over the process, linear between its entries. */
export const LEVELS = 16;

/** What the table's parameters are multiplied by: Adam moves each by the learning rate, and u has far to go. */
const SCALE = 32;

const NAME = 'loss_log_variance';

/** Follows the network's own parameters; starts at u = 0, the error of a network that answers 0. */
export const levelSpec: ParamSpec = { name: NAME, shape: [LEVELS, 1], init: { constant: 0 } };

/**
 * How near each sample's time is to the table's entries.
 * @param times [N], in [0, 1]
 * @returns [N, LEVELS], rows that sum to 1
 */
export function levelsOf(times: Float64Array): Float32Array {
  const levels = new Float32Array(times.length * LEVELS);
  for (const [i, time] of times.entries()) {
    const at = time * (LEVELS - 1);
    const below = Math.min(LEVELS - 2, Math.floor(at));
    levels[i * LEVELS + below] = 1 - (at - below);
    levels[i * LEVELS + below + 1] = at - below;
  }
  return levels;
}

/**
 * @param levels [N, LEVELS] of `levelsOf`
 * @param perSample mean squared errors [N]
 * @returns error / e^u + u of each sample, [N]
 */
export function levelLoss(params: Params, levels: Tensor, perSample: Tensor): Tensor {
  const u = tf.mul(tf.reshape(tf.matMul(levels as Tensor2D, params[NAME] as Tensor2D), [-1]), SCALE);
  return tf.add(tf.div(perSample, tf.exp(u)), u);
}
