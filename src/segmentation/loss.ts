/** What training makes small: cross-entropy and Dice's loss, side by side. */
import { type Scalar, type Tensor4D, tf } from '../engine/tf.js';
import type { LossFunction } from '../training/step.js';
import { type ClassicUNetConfig, classicUNet } from '../unet/index.js';
import { withBlankStatistics } from './statistics.js';

export interface LossOptions {
  readonly cross_entropy: number;
  readonly dice: number;
  /** Weight of each class's pixels in the cross-entropy. */
  readonly weights: readonly number[];
}

/**
 * Weighted cross-entropy, the mean over weights as PyTorch's CrossEntropyLoss has it, and the soft Dice loss as
 * Drozdzal et al. (2016) write it, for each class over the whole batch, 1 - (2·Σpt + 1) / (Σp + Σt + 1), averaged over the classes.
 * Batch: `pixels` [N, H, W, 3], `target` [N, H, W, C] one-hot; pixels whose target is all zero do not count.
 */
export function segmentLoss(config: ClassicUNetConfig, options: LossOptions): LossFunction {
  return (params, { pixels, target }) => {
    const complete = withBlankStatistics(config, params);
    const { logits } = classicUNet(config, complete, pixels as Tensor4D, { training: true });
    return lossOfLogits(logits, target as Tensor4D, options);
  };
}

/** The loss of logits [N, H, W, C]; see `segmentLoss`. */
export function lossOfLogits(
  logits: Tensor4D,
  target: Tensor4D,
  options: LossOptions,
): { loss: Scalar; metrics: Record<string, Scalar> } {
  const shifted = tf.sub(logits, tf.max(logits, 3, true));
  const logProbs = tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 3, true)));
  const weighted = tf.mul(target, tf.tensor1d([...options.weights])); // [N, H, W, C]
  const entropy = tf.div(
    tf.neg(tf.sum(tf.mul(weighted, logProbs))),
    tf.add(tf.sum(weighted), 1e-6),
  ) as Scalar;
  const counted = tf.sum(target, 3, true); // 1, or 0 where ignored
  const probs = tf.mul(tf.exp(logProbs), counted);
  const overlap = tf.sum(tf.mul(probs, target), [0, 1, 2]); // [C]
  const area = tf.add(tf.sum(probs, [0, 1, 2]), tf.sum(target, [0, 1, 2]));
  const dice = tf.div(tf.add(tf.mul(overlap, 2), 1), tf.add(area, 1));
  const diceLoss = tf.sub(1, tf.mean(dice)) as Scalar;
  const loss = tf.add(tf.mul(entropy, options.cross_entropy), tf.mul(diceLoss, options.dice)) as Scalar;
  return { loss, metrics: { cross_entropy: entropy, dice_loss: diceLoss } };
}
