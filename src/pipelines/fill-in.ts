/** What a network that was trained for inpainting sees beside its sample (Stable Diffusion inpainting's 9 channels). */
import { beside } from './denoise.js';
import type { Codec } from './model.js';
import { sampleMask } from './paint-mask.js';

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
  const kept = picture.map((value, i) => (mask[Math.floor(i / 3)] > 0 ? 0 : value));
  const encoded = await codec.encode(kept, [side, side]);
  const painted = sampleMask(mask, side, codec.reduction, 1, 0);
  return beside(Float32Array.from(painted), encoded, painted.length);
}
