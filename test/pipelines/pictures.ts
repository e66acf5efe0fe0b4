import type { RgbPicture } from '../../src/image/index.js';
import type { PaintMask } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';

/** A picture in which no two neighbours are alike. */
export function noisyPicture(width: number, height: number, seed = 7): RgbPicture {
  const random = new Random(seed);
  return { data: Uint8Array.from(random.uniform(width * height * 3), (u) => u * 256), width, height };
}

/** A mask that paints a rectangle: left, top, right and bottom, the last two exclusive. */
export function boxMask(width: number, height: number, box: readonly number[], value = 1): PaintMask {
  const [left, top, right, bottom] = box;
  const data = new Float32Array(width * height);
  for (let y = top; y < bottom; y++) data.fill(value, y * width + left, y * width + right);
  return { data, width, height };
}

/** The pixels of a picture that a mask keeps, or those that it paints. */
export function pixelsWhere({ data }: RgbPicture, mask: PaintMask, painted: boolean): number[] {
  return Array.from(data).filter((_, i) => mask.data[Math.floor(i / 3)] > 0 === painted);
}
