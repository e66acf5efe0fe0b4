/** The first stage: an autoencoder that turns pictures into latents and back. */
import {
  type AutoencoderConfig,
  type AutoencoderNetwork,
  autoencoderSpecs,
  decode,
  downscale,
  encode,
  klDivergence,
  sampleLatents,
} from '../autoencoder/index.js';
import { type Batches, byShape, type Dataset, floatPictures, sizeAt } from '../data/index.js';
import { Compiled, type CompileOptions } from '../engine/compile.js';
import { sizeOf } from '../engine/graph.js';
import type { Params } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { type Scalar, type Tensor, type Tensor4D, tf } from '../engine/tf.js';
import type { Size } from '../image/index.js';
import { asConstants } from '../pipelines/constants.js';
import type { Random } from '../random.js';
import type { LossFunction } from './step.js';

export interface AutoencoderWeights {
  readonly kl_weight: number;
  readonly mse_weight: number;
  readonly edge_weight: number;
}

/** Differences between neighbours, rightwards and downwards. */
export function edges(x: Tensor4D): [Tensor4D, Tensor4D] {
  const [n, h, w, c] = x.shape;
  const right = tf.sub(
    tf.slice(x, [0, 0, 1, 0], [n, h, w - 1, c]),
    tf.slice(x, [0, 0, 0, 0], [n, h, w - 1, c]),
  );
  const down = tf.sub(
    tf.slice(x, [0, 1, 0, 0], [n, h - 1, w, c]),
    tf.slice(x, [0, 0, 0, 0], [n, h - 1, w, c]),
  );
  return [right as Tensor4D, down as Tensor4D];
}

/** Mean absolute and mean squared error of pixels, and mean absolute error of their neighbours' differences, weighed. */
function pictureError(made: Tensor4D, pictures: Tensor4D, weights: AutoencoderWeights) {
  const error = tf.sub(made, pictures) as Tensor4D;
  const l1 = tf.mean(tf.abs(error)) as Scalar;
  const mse = tf.mean(tf.square(error)) as Scalar;
  const [right, down] = edges(error);
  const edge = tf.add(tf.mean(tf.abs(right)), tf.mean(tf.abs(down)));
  const loss = tf.addN([l1, tf.mul(mse, weights.mse_weight), tf.mul(edge, weights.edge_weight)]) as Scalar;
  return { loss, metrics: { l1, mse } };
}

/**
 * The pictures' error, and the KL term (Kingma & Welling 2014).
 * Batch: `pictures` [N, S, S, 3] in [-1, 1], `noise` [N, h, w, latent_channels] standard normal; perhaps `error` like that, in
 * the latents' deviation, which is added before decoding.
 */
export function autoencoderLoss(config: AutoencoderConfig, weights: AutoencoderWeights): LossFunction {
  return (params, { pictures, noise, error }) => {
    const posterior = encode(config, params, pictures as Tensor4D);
    const latents = sampleLatents(posterior.mean, posterior.logvar, noise as Tensor4D);
    // By their own deviation: latents that are large are no way out.
    const inexact = error
      ? (tf.add(latents, tf.mul(error, tf.sqrt(tf.mean(tf.square(latents))))) as Tensor4D)
      : latents;
    const { loss, metrics } = pictureError(decode(config, params, inexact), pictures as Tensor4D, weights);
    const perNumber = latents.size / latents.shape[0];
    const kl = tf.div(tf.mean(klDivergence(posterior)), perNumber) as Scalar;
    return { loss: tf.add(loss, tf.mul(kl, weights.kl_weight)) as Scalar, metrics: { ...metrics, kl } };
  };
}

/**
 * The pictures' error of a decoder whose encoder stays as it is.
 * Batch: `pictures` [N, S, S, 3] in [-1, 1], `latents` [N, h, w, latent_channels] of them.
 */
export function decoderLoss(config: AutoencoderConfig, weights: AutoencoderWeights): LossFunction {
  return (params, { pictures, latents }) =>
    pictureError(decode(config, params, latents as Tensor4D), pictures as Tensor4D, weights);
}

/** Normal noise [N, …] of a deviation that each of the N has drawn between 0 and `most`. */
export function latentError(random: Random, [n, ...each]: readonly number[], most: number): Float32Array {
  const levels = random.fork('level').uniform(n);
  const size = sizeOf(each);
  return random.normal(n * size).map((x, i) => x * most * levels[Math.floor(i / size)]);
}

/**
 * The inputs of step `step` (from 1): pictures in the data's order and the step's own noise.
 * @param latentNoise as `latent_noise`; 0: no `error`
 */
export function autoencoderBatch(
  config: AutoencoderConfig,
  batches: Batches,
  random: Random,
  latentNoise: number,
) {
  return (step: number): Record<string, Feed> => {
    const { pixels, size } = batches.batchAt(step - 1);
    const n = pixels.length / (size.width * size.height * 3);
    const shape = latentShape(config, size, n);
    const feed = (data: Float32Array): Feed => ({ data, shape, dtype: 'float32' });
    const error = latentNoise > 0 && latentError(random.fork('error', step), shape, latentNoise);
    return {
      pictures: { data: pixels, shape: [n, size.height, size.width, 3], dtype: 'float32' },
      noise: feed(random.fork('latents', step).normal(sizeOf(shape))),
      ...(error && { error: feed(error) }),
    };
  };
}

export function latentShape(
  config: AutoencoderConfig,
  { width, height }: Size,
  n: number,
): [number, number, number, number] {
  const by = downscale(config);
  return [n, height / by, width / by, config.latent_channels];
}

/** Pictures through encoder and decoder (the mean of the latents, no noise), for sample sheets. */
export async function reconstruct(
  config: AutoencoderConfig,
  flat: Float32Array,
  pictures: Feed,
  options: CompileOptions,
): Promise<Float32Array> {
  const constants = asConstants(autoencoderSpecs(config), flat);
  const fn = ({ pictures: x, ...params }: Record<string, Tensor>) => ({
    y: decode(config, params as Params, encode(config, params as Params, x as Tensor4D).mean),
  });
  const compiled = new Compiled(fn, { ...options, constants, name: 'autoencoder' });
  try {
    return (await compiled.run({ pictures })).y as Float32Array;
  } finally {
    await compiled.dispose();
  }
}

const ENCODE_BATCH = 16;

/**
 * The mean latents of all pictures of a dataset, scaled as the configuration says, and their standard deviation
 * about 0 (at scaling_factor 1, one over it is the scaling factor of Rombach et al. 2022, appendix G).
 * @returns latents [count, h, w, latentChannels]; of pictures in buckets each begins where that of a square would
 */
export async function encodeDataset(
  network: AutoencoderNetwork,
  flat: Float32Array,
  dataset: Dataset,
  options: CompileOptions & { readonly signal?: AbortSignal },
): Promise<{ latents: Float32Array; std: number }> {
  const constants = asConstants(network.specs, flat);
  const fn = ({ pictures, ...params }: Record<string, Tensor>) => ({
    scaled: network.encode(params as Params, pictures as Tensor4D),
  });
  const compiled = new Compiled(fn, { ...options, constants, name: 'encoder' });
  const { count, size } = dataset;
  const each = (size / network.downscale) ** 2 * network.latentChannels;
  const latents = new Float32Array(count * each);
  let sum = 0;
  let numbers = 0;
  try {
    for (const indices of byShape(dataset)) {
      const { width, height } = sizeAt(dataset, indices[0]);
      for (let start = 0; start < indices.length; start += ENCODE_BATCH) {
        options.signal?.throwIfAborted();
        // The last batch is filled up with the last picture, so that one graph serves all.
        const wanted = Array.from(
          { length: ENCODE_BATCH },
          (_, i) => indices[Math.min(start + i, indices.length - 1)],
        );
        const pictures: Feed = {
          data: floatPictures(dataset, wanted),
          shape: [ENCODE_BATCH, height, width, 3],
          dtype: 'float32',
        };
        const { scaled } = await compiled.run({ pictures });
        const own = scaled.length / ENCODE_BATCH;
        const used = Math.min(ENCODE_BATCH, indices.length - start);
        for (let k = 0; k < used; k++) {
          const sample = (scaled as Float32Array).subarray(k * own, (k + 1) * own);
          latents.set(sample, wanted[k] * each);
          for (const z of sample) sum += z * z;
        }
        numbers += used * own;
      }
    }
  } finally {
    await compiled.dispose();
  }
  return { latents, std: Math.sqrt(sum / numbers) };
}
