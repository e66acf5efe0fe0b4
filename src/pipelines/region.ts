/** The part of a picture that the model sees, brought to the model's size and back. */
import sharp from 'sharp';
import { type AlphaPicture, onWhite } from '../image/alpha.js';
import { type RgbPicture, toBytes } from '../image/index.js';
import { clamp, cutMask, type PaintMask } from './paint-mask.js';
import { joined } from './seam.js';

/** A square of the picture in pixels; it may reach over the picture's edge, where the edge goes on. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

/** What the model sees of a picture: the surroundings of what is painted, or all of it, or as its size suggests. */
export const INPAINT_AREAS = ['auto', 'mask', 'whole'] as const;
export type InpaintArea = (typeof INPAINT_AREAS)[number];

/**
 * How what is painted meets what is kept: `poisson` takes the colours at the edge over from the picture and spreads the
 * change inwards, `none` leaves what was drawn as it is.
 */
export const BLENDS = ['poisson', 'none'] as const;
export type Blend = (typeof BLENDS)[number];

/**
 * Up to how many times the model's size `auto` shows it the whole picture. A model of whole things draws a whole thing
 * (a face into the hole where a mouth was) if it is shown a part; blurred by the enlargement is better than that.
 */
const WHOLE_UP_TO = 4;

/** How much wider than what is painted the region is, so that the model sees what surrounds it. */
const CONTEXT = 1.5;

/**
 * The square that the model works on. For `whole`, and for pictures that are no larger than the model's, it is the
 * square around the picture. For `mask` it is as large as the model's pictures, so that nothing is resized, or 1.5
 * times what is painted where that is more; it stays within the picture unless what is painted does not fit so.
 * `auto` is `whole` up to four times the model's size, `mask` beyond.
 */
export function regionOf(mask: PaintMask, modelSide: number, area: InpaintArea): Region {
  const { width, height } = mask;
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  const wholeUpTo = { auto: WHOLE_UP_TO * modelSide, mask: modelSide, whole: Infinity }[area];
  if (longer <= wholeUpTo) return squareAround(0, width - 1, 0, height - 1, longer, mask);
  const [x0, x1, y0, y1] = boundsOf(mask);
  const painted = Math.max(x1 - x0, y1 - y0) + 1;
  const wanted = Math.max(Math.ceil(painted * CONTEXT), modelSide);
  const side = painted <= shorter ? Math.min(wanted, shorter) : Math.min(wanted, longer);
  return squareAround(x0, x1, y0, y1, side, mask);
}

function squareAround(
  x0: number,
  x1: number,
  y0: number,
  y1: number,
  side: number,
  { width, height }: PaintMask,
): Region {
  const start = (from: number, to: number, length: number): number => {
    if (side > length) return Math.floor((length - side) / 2);
    return Math.min(Math.max(Math.round((from + to + 1 - side) / 2), 0), length - side);
  };
  return { left: start(x0, x1, width), top: start(y0, y1, height), side };
}

/** First and last column, first and last row with something to paint. */
function boundsOf({ data, width, height }: PaintMask): [number, number, number, number] {
  let [x0, x1, y0, y1] = [width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] <= 0) continue;
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x);
      y0 = Math.min(y0, y);
      y1 = y;
    }
  }
  return [x0, x1, y0, y1];
}

/**
 * The region's pixels at the model's size, on white where they are transparent.
 * @returns [modelSide, modelSide, 3]
 */
export async function cutPicture(
  picture: AlphaPicture,
  region: Region,
  modelSide: number,
): Promise<RgbPicture> {
  return resize(pixelsOf(picture, region), region.side, modelSide);
}

/** The region's pixels, [side, side, 3], on white where they are transparent; beyond the picture its edge goes on. */
function pixelsOf(picture: AlphaPicture, { left, top, side }: Region): Uint8Array {
  const { data, width, height } = onWhite(picture);
  const cut = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    const row = clamp(top + y, height) * width;
    for (let x = 0; x < side; x++) {
      const from = (row + clamp(left + x, width)) * 3;
      cut.set(data.subarray(from, from + 3), (y * side + x) * 3);
    }
  }
  return cut;
}

/**
 * Lays what was drawn over the picture, opaque, as far as the mask paints. Pixels whose mask is 0 are the very bytes
 * of the picture.
 * @param drawn [modelSide, modelSide, 3] in [-1, 1]
 * @param blend how its edge meets the picture
 */
export async function paste(
  picture: AlphaPicture,
  mask: PaintMask,
  region: Region,
  drawn: Float32Array,
  modelSide: number,
  blend: Blend = 'none',
): Promise<AlphaPicture> {
  const { width, height } = picture;
  const { left, top, side } = region;
  const { data: bytes } = await resize(toBytes(drawn), modelSide, side);
  const patch =
    blend === 'none'
      ? bytes
      : joined(bytes, pixelsOf(picture, region), cutMask(mask, region, side), side, side);
  const data = picture.data.slice();
  const alpha = picture.alpha?.slice();
  for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
    for (let x = Math.max(0, left); x < Math.min(width, left + side); x++) {
      const at = y * width + x;
      const weight = mask.data[at];
      if (weight <= 0) continue;
      // Porter & Duff 1984, "over": the patch, opaque as far as its weight goes, over the picture.
      const below = (alpha ? alpha[at] / 255 : 1) * (1 - weight);
      const from = ((y - top) * side + (x - left)) * 3;
      for (let c = 0; c < 3; c++) {
        const sum = patch[from + c] * weight + data[at * 3 + c] * below;
        data[at * 3 + c] = Math.min(Math.max(Math.round(sum / (weight + below)), 0), 255);
      }
      if (alpha) alpha[at] = Math.round(255 * (weight + below));
    }
  }
  return { data, width, height, ...(alpha ? { alpha } : {}) };
}

async function resize(data: Uint8Array, from: number, to: number): Promise<RgbPicture> {
  if (from === to) return { data, width: to, height: to };
  const raw = { width: from, height: from, channels: 3 as const };
  const resized = await sharp(data, { raw, limitInputPixels: false })
    .resize(to, to, { kernel: 'lanczos3' })
    .raw()
    .toBuffer();
  return { data: new Uint8Array(resized), width: to, height: to };
}
