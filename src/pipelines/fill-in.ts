/** What a network that was trained for inpainting sees beside its sample (Stable Diffusion inpainting's 9 channels). */

import type { Codec } from './codec.js';
import { beside } from './denoise.js';
import type { DrawNoise } from './noise.js';
import { sampleMask } from './paint-mask.js';

/** What is kept of a picture, [side, side, 3] in [-1, 1]: mid-grey where the mask, [side, side], is above 0. */
const keptOf = (picture: Float32Array, mask: Float32Array): Float32Array =>
  picture.map((value, i) => (mask[Math.floor(i / 3)] > 0 ? 0 : value));

/**
 * The mask and the sample of what is kept: channels that the network takes in after those of its sample.
 * @param picture [side, side, 3] in [-1, 1]
 * @param mask [side, side], above 0 is painted
 * @returns [h, w, 1 + C]: 1 where the sample is painted, and the encoded picture with grey in place of what is painted
 */
export async function keptChannels(
  codec: Codec,
  picture: Float32Array,
  mask: Float32Array,
  side: number,
): Promise<Float32Array> {
  const painted = sampleMask(mask, side, codec.reduction, 1, 0);
  const encoded = await codec.encode(keptOf(picture, mask), [side, side]);
  return beside(Float32Array.from(painted), encoded, painted.length);
}

/** `keptChannels` where nothing is kept, for a sample of a height and width. */
export async function nothingKept(codec: Codec, [h, w]: readonly [number, number]): Promise<Float32Array> {
  const [height, width] = [h * codec.reduction, w * codec.reduction];
  const grey = await codec.encode(new Float32Array(height * width * 3), [height, width]);
  return beside(new Float32Array(h * w).fill(1), grey, h * w);
}

/**
 * `keptChannels`, with the encoded picture drawn from the autoencoder's distribution, as diffusers does, rather than its
 * mean.
 * @returns the channels, given what draws the noise
 */
export async function drawnKeptChannels(
  codec: Codec,
  picture: Float32Array,
  mask: Float32Array,
  side: number,
): Promise<(noise: DrawNoise) => Float32Array> {
  const painted = sampleMask(mask, side, codec.reduction, 1, 0);
  const spread = await codec.encodeSpread(keptOf(picture, mask), [side, side]);
  return (noise) =>
    beside(
      Float32Array.from(painted),
      spread(() => noise('picture')),
      painted.length,
    );
}
