/** The second stage, or the only one in pixel space: a UNet that learns to undo the forward noising. */
import {
  addNoise,
  alphaProdsAt,
  cumulativeAlphas,
  lossWeights,
  makeBetas,
  trainingTarget,
} from '../diffusion/index.js';
import type { Feed } from '../engine/session.js';
import { type Scalar, tf } from '../engine/tf.js';
import type { Random } from '../random.js';
import type { UNetInputs, UNetNetwork } from '../unet/index.js';
import type { DiffusionStage } from './config.js';
import type { LossFunction } from './step.js';

/** Clean samples of a step, whatever they are: pixels or scaled latents. */
export interface CleanBatch {
  /** [N, H, W, C] */
  readonly samples: Float32Array;
  /** [N], or null for a model that is told nothing. */
  readonly labels: Int32Array | null;
}

/**
 * Weighted mean squared error of the prediction (Ho et al. 2020, eq. 14). Batch: `sample` [N, H, W, C] noisy,
 * `timesteps` [N], `target` like `sample`, `weights` [N], `labels` int32 [N] for a model with classes, `context` [N, T, C] for one that is
 * told texts.
 */
export function diffusionLoss(network: UNetNetwork): LossFunction {
  return (params, { target, weights, ...inputs }) => {
    const prediction = network.predict(params, inputs as unknown as UNetInputs);
    const perSample = tf.mean(tf.square(tf.sub(prediction, target)), [1, 2, 3]);
    const loss = tf.mean(tf.mul(perSample, weights)) as Scalar;
    return { loss, metrics: { mse: tf.mean(perSample) as Scalar } };
  };
}

/** Forward noising of a batch, all of it drawn from the step's own random streams. */
export class Noising {
  private readonly alphasCumprod: Float64Array;

  constructor(
    private readonly stage: DiffusionStage,
    private readonly random: Random,
    private readonly nullLabel: number | null,
  ) {
    this.alphasCumprod = cumulativeAlphas(makeBetas(stage));
  }

  /**
   * @param shape of the samples, [N, H, W, C]
   * @param step from 1
   */
  batch({ samples, labels }: CleanBatch, shape: readonly number[], step: number): Record<string, Feed> {
    const [n] = shape;
    const { prediction_type: predictionType, snr_gamma: gamma, label_dropout: dropout } = this.stage;
    const timesteps = this.timesteps(n, step);
    const alphaProds = alphaProdsAt(this.alphasCumprod, timesteps);
    const noise = this.random.fork('noise', step).normal(samples.length);
    const feeds: Record<string, Feed> = {
      sample: { data: addNoise(samples, noise, alphaProds), shape, dtype: 'float32' },
      timesteps: { data: Float32Array.from(timesteps), shape: [n], dtype: 'float32' },
      target: { data: trainingTarget(predictionType, samples, noise, alphaProds), shape, dtype: 'float32' },
      weights: { data: lossWeights(alphaProds, predictionType, gamma), shape: [n], dtype: 'float32' },
    };
    if (labels) {
      const hidden = this.random.fork('labels', step).uniform(n);
      const { nullLabel } = this;
      const kept = labels.map((label, i) => (nullLabel !== null && hidden[i] < dropout ? nullLabel : label));
      feeds.labels = { data: kept, shape: [n], dtype: 'int32' };
    }
    return feeds;
  }

  /**
   * Timesteps spread evenly over the batch from one random offset: each is uniform, and the loss of a batch
   * varies less than with independent ones (Kingma et al. 2021, appendix I.1).
   */
  private timesteps(n: number, step: number): Int32Array {
    const random = this.random.fork('timesteps', step);
    const [offset] = random.uniform(1);
    const total = this.stage.num_train_timesteps;
    const spread = Int32Array.from({ length: n }, (_, i) => Math.floor((((i + offset) / n) % 1) * total));
    // The data's order is random already, but shuffling keeps a resumed epoch from pairing places with times.
    return Int32Array.from(random.permutation(n), (i) => spread[i]);
  }
}
