/** Masks made larger or smaller by a number of pixels. */
import type { Size } from '../image/index.js';
import { distanceTransform } from './regions.js';

/**
 * Adds what lies within so many pixels of a mask (more than half is in), or takes off its edge.
 * @param mask [height, width], 0…1
 * @param pixels above 0: larger; below: smaller
 * @returns a new mask; what was partly in stays so where nothing is added or taken
 */
export function growMask(mask: Float32Array, size: Size, pixels: number): Float32Array {
  if (pixels === 0) return mask.slice();
  const grows = pixels > 0;
  // Distance to the mask when it grows, to what is outside of it when it shrinks.
  const distance = distanceTransform(
    Uint8Array.from(mask, (m) => (m > 0.5 === grows ? 0 : 1)),
    size,
  );
  return mask.map((m, i) => (distance[i] <= Math.abs(pixels) ? (grows ? 1 : 0) : m));
}
