/** The second stage, or the only one in pixel space: a UNet that learns to undo the forward noising. */
import {
  addNoise,
  alphaProdsAt,
  cumulativeAlphas,
  EDM_PREDICTION,
  edmSample,
  FLOW_PREDICTION,
  flowSample,
  lossWeights,
  makeBetas,
  trainingTarget,
} from '../diffusion/index.js';
import type { Feed } from '../engine/session.js';
import { type Scalar, tf } from '../engine/tf.js';
import type { Random } from '../random.js';
import type { UNetInputs, UNetNetwork } from '../unet/index.js';
import type { DiffusionStage } from './config.js';
import { LEVELS, levelLoss, levelsOf } from './level-weights.js';
import type { LossFunction } from './step.js';

/** Parts of the process whose errors are told apart: `mse_1`, the least noisy quarter, to `mse_4`. */
const BANDS = 4;

/** Clean samples of a step, whatever they are: pixels or scaled latents. */
export interface CleanBatch {
  /** [N, H, W, C] */
  readonly samples: Float32Array;
  /** [N], or null for a model that is told nothing. */
  readonly labels: Int32Array | null;
}

/**
 * Weighted mean squared error of the prediction (Ho et al. 2020, eq. 14). Batch: `sample` [N, H, W, C] noisy,
 * `timesteps` [N], `target` like `sample`, `weights` [N], `bands` [N, 4] (which quarter of the
 * process each is in, as 0 and 1), `labels` int32 [N] for a model with classes, `context` [N, T, C] for one that is
 * told texts; with learned weights `levels` [N, 16] (see level-weights.ts).
 */
export function diffusionLoss(network: UNetNetwork): LossFunction {
  return (params, { target, weights, bands, levels, ...inputs }) => {
    const prediction = network.predict(params, inputs as unknown as UNetInputs);
    const perSample = tf.mean(tf.square(tf.sub(prediction, target)), [1, 2, 3]);
    const weighted = levels ? levelLoss(params, levels, perSample) : tf.mul(perSample, weights);
    const loss = tf.mean(weighted) as Scalar;
    const metrics: Record<string, Scalar> = { mse: tf.mean(perSample) as Scalar };
    for (let k = 0; k < BANDS; k++) {
      const mask = tf.reshape(tf.slice(bands, [0, k], [-1, 1]), [-1]);
      // A band without samples has no mean: 0 of 0 is no number.
      metrics[`mse_${k + 1}`] = tf.div(tf.sum(tf.mul(mask, perSample)), tf.sum(mask)) as Scalar;
    }
    return { loss, metrics };
  };
}

/** Forward noising of a batch, all of it drawn from the step's own random streams. */
export class Noising {
  private readonly alphasCumprod: Float64Array;

  constructor(
    private readonly stage: DiffusionStage,
    private readonly random: Random,
    private readonly nullLabel: number | null,
    /** Deviation of the samples, for EDM's preconditioning. */
    private readonly sigmaData = 0.5,
  ) {
    this.alphasCumprod = cumulativeAlphas(makeBetas(stage));
  }

  /**
   * @param shape of the samples, [N, H, W, C]
   * @param step from 1
   */
  batch({ samples, labels }: CleanBatch, shape: readonly number[], step: number): Record<string, Feed> {
    const [n] = shape;
    const feeds = this.noised(samples, shape, step);
    const { label_dropout: dropout } = this.stage;
    if (labels) {
      const hidden = this.random.fork('labels', step).uniform(n);
      const { nullLabel } = this;
      const kept = labels.map((label, i) => (nullLabel !== null && hidden[i] < dropout ? nullLabel : label));
      feeds.labels = { data: kept, shape: [n], dtype: 'int32' };
    }
    return feeds;
  }

  private noised(samples: Float32Array, shape: readonly number[], step: number): Record<string, Feed> {
    const [n] = shape;
    const { prediction_type: predictionType, num_train_timesteps: total } = this.stage;
    const learned = this.stage.loss_weighting === 'learned';
    const gamma = learned ? null : this.stage.snr_gamma;
    const times = this.times(n, step);
    const noise = this.random.fork('noise', step).normal(samples.length);
    const feeds = (
      sample: Float32Array,
      timesteps: Float32Array,
      target: Float32Array,
      weights: Float32Array,
    ) => ({
      sample: { data: sample, shape, dtype: 'float32' as const },
      timesteps: { data: timesteps, shape: [n], dtype: 'float32' as const },
      target: { data: target, shape, dtype: 'float32' as const },
      weights: { data: weights, shape: [n], dtype: 'float32' as const },
      bands: { data: bandsOf(times), shape: [n, BANDS], dtype: 'float32' as const },
      ...(learned && { levels: { data: levelsOf(times), shape: [n, LEVELS], dtype: 'float32' as const } }),
    });
    if (predictionType === FLOW_PREDICTION) {
      const { sample, velocity } = flowSample(samples, noise, times);
      return feeds(
        sample,
        Float32Array.from(times, (sigma) => sigma * total),
        velocity,
        new Float32Array(n).fill(1),
      );
    }
    if (predictionType === EDM_PREDICTION) {
      const { p_mean: mean, p_std: deviation } = this.stage;
      // The paper's mean is that of pixels, whose deviation is 0.5.
      const unit = this.sigmaData / 0.5;
      const levels = times.map((time) => unit * Math.exp(mean + deviation * Math.log(time / (1 - time))));
      const { sample, target, timesteps } = edmSample(samples, noise, levels, this.sigmaData);
      return feeds(sample, timesteps, target, new Float32Array(n).fill(1));
    }
    const timesteps = Float32Array.from(times, (time) => Math.floor(time * total));
    const alphaProds = alphaProdsAt(this.alphasCumprod, timesteps);
    return feeds(
      addNoise(samples, noise, alphaProds),
      timesteps,
      trainingTarget(predictionType, samples, noise, alphaProds),
      lossWeights(alphaProds, predictionType, gamma),
    );
  }

  /**
   * The time of each sample, in [0, 1). Uniform ones are spread evenly over the batch from one random offset: the loss of a
   * batch varies less than with independent ones (Kingma et al. 2021, appendix I.1). Others, the logistic
   * function of normal numbers, come in pairs about the middle, for the same reason.
   */
  private times(n: number, step: number): Float64Array {
    const random = this.random.fork('timesteps', step);
    const { timestep_distribution: distribution, prediction_type: type } = this.stage;
    if (distribution === 'logit_normal' || type === EDM_PREDICTION) {
      const half = random.normal(Math.ceil(n / 2));
      return Float64Array.from(
        { length: n },
        (_, i) => 1 / (1 + Math.exp(i % 2 ? half[i >> 1] : -half[i >> 1])),
      );
    }
    const [offset] = random.uniform(1);
    // The data's order is random already, but shuffling keeps a resumed epoch from pairing places with times.
    return Float64Array.from(random.permutation(n), (i) => ((i + offset) / n) % 1);
  }
}

/** Which band each time is in, [N, BANDS] of 0 and 1. */
function bandsOf(times: Float64Array): Float32Array {
  const n = times.length;
  const masks = new Float32Array(BANDS * n);
  for (const [i, time] of times.entries())
    masks[i * BANDS + Math.min(BANDS - 1, Math.floor(time * BANDS))] = 1;
  return masks;
}
