/** What a network that was trained for inpainting sees beside its sample (Stable Diffusion inpainting's 9 channels). */

import type { Codec } from './codec.js';
import { beside } from './denoise.js';
import type { DrawNoise } from './noise.js';
import { sampleMask } from './paint-mask.js';

/**
 * The mask and the sample of what is kept: channels that the network takes in after those of its sample.
 * @param picture [side, side, 3] in [-1, 1]
 * @param mask [side, side], above 0 is painted
 * @param sampled whether the encoded picture is drawn from the autoencoder's distribution, as diffusers does, rather
 * than its mean
 * @returns [h, w, 1 + C]: 1 where the sample is painted, and the encoded picture with grey in place of what is painted;
 * given what draws the noise of `sampled`
 */
export async function keptChannels(
  codec: Codec,
  picture: Float32Array,
  mask: Float32Array,
  side: number,
  sampled = false,
): Promise<(noise: DrawNoise) => Float32Array> {
  const kept = picture.map((value, i) => (mask[Math.floor(i / 3)] > 0 ? 0 : value));
  const painted = sampleMask(mask, side, codec.reduction, 1, 0);
  const channels = (encoded: Float32Array) => beside(Float32Array.from(painted), encoded, painted.length);
  if (!sampled) {
    const whole = channels(await codec.encode(kept, [side, side]));
    return () => whole;
  }
  const spread = await codec.encodeSpread(kept, [side, side]);
  return (noise) => channels(spread(() => noise('picture')));
}
