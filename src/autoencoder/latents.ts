import { type Tensor1D, type Tensor4D, tf } from '../engine/tf.js';
import type { Posterior } from './autoencoder.js';

/**
 * Draws latents from the encoder's distribution: mean + exp(logvar / 2)·noise (Kingma & Welling 2014, section 2.4).
 * @param noise standard normal, in the shape of `mean`
 */
export function sampleLatents(mean: Tensor4D, logvar: Tensor4D, noise: Tensor4D): Tensor4D {
  return tf.tidy(() => tf.add(mean, tf.mul(tf.exp(tf.mul(logvar, 0.5)), noise)));
}

/**
 * Divergence of each picture's latents from the standard normal, ½·Σ(mean² + exp(logvar) - 1 - logvar), in nats
 * (Kingma & Welling 2014, appendix B).
 * @returns [N], summed over pixels and channels
 */
export function klDivergence({ mean, logvar }: Posterior): Tensor1D {
  return tf.tidy(() => {
    const excess = tf.sub(tf.add(tf.square(mean), tf.exp(logvar)), tf.add(logvar, 1));
    return tf.mul(tf.sum(excess, [1, 2, 3]), 0.5) as Tensor1D;
  });
}

/** The keys of an autoencoder's config that say how its latents are scaled. */
export interface LatentScale {
  readonly scaling_factor: number;
  readonly shift_factor?: number | null;
  readonly latents_mean?: readonly number[] | null;
  readonly latents_std?: readonly number[] | null;
}

/** Slope and offset of each of `z` latent channels on its way to the diffusion model: scaled = latents·slope - offset. */
function normalization(config: LatentScale, z: number): { slope: number[]; offset: number[] } {
  const { scaling_factor: factor, shift_factor: shift } = config;
  const slope = Array.from({ length: z }, (_, c) => factor / (config.latents_std?.[c] ?? 1));
  const offset = slope.map((s, c) => s * (config.latents_mean?.[c] ?? shift ?? 0));
  return { slope, offset };
}

/**
 * Latents as the diffusion model sees them, about unit variance: (latents - shift_factor)·scaling_factor, or
 * (latents - latents_mean)·scaling_factor / latents_std where the config has them.
 * @param latents from the encoder, [N, h, w, latent_channels]
 */
export function scaleLatents(config: LatentScale, latents: Tensor4D): Tensor4D {
  const { slope, offset } = normalization(config, latents.shape[3]);
  return tf.tidy(() => tf.sub(tf.mul(latents, tf.tensor1d(slope)), tf.tensor1d(offset)));
}

/** How far latents are spread once they are scaled: standard deviations as `scaleLatents` changes them. */
export function scaleDeviations(config: LatentScale, logvar: Tensor4D): Tensor4D {
  const { slope } = normalization(config, logvar.shape[3]);
  return tf.tidy(() => tf.mul(tf.exp(tf.mul(logvar, 0.5)), tf.tensor1d(slope)) as Tensor4D);
}

/** The way back, before `decode`: undoes `scaleLatents`. */
export function unscaleLatents(config: LatentScale, latents: Tensor4D): Tensor4D {
  const { slope, offset } = normalization(config, latents.shape[3]);
  return tf.tidy(() => {
    const shifted = tf.add(latents, tf.tensor1d(offset));
    return tf.mul(shifted, tf.tensor1d(slope.map((s) => 1 / s))) as Tensor4D;
  });
}
