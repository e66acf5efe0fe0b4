/** Masks for inpainting: white is painted, black is kept, grey is in between. */
import { InputError } from '../errors.js';
import {
  checkFit,
  checkSize,
  decodeError,
  type Fit,
  openPicture,
  SHARP_FIT,
  sizeOfPicture,
} from './decode.js';
import type { Size } from './picture.js';

export interface MaskOptions {
  /** Side of a square, or width and height, in pixels; without it the mask keeps its size. */
  size?: number | Size;
  /** Must be the fit of the picture, so that both are cut alike; default `crop`. What is padded is kept. */
  fit?: Fit;
  /** Size of the picture's file (`sizeOfPicture`): a mask of other proportions is refused. */
  picture?: Size;
}

export interface Mask extends Size {
  /** [height, width] in [0, 1]: 1 is painted, 0 is kept. */
  readonly data: Float32Array;
  /** Mean of the mask: the share of the picture that is painted. */
  readonly painted: number;
  /** Nothing is kept. */
  readonly allWhite: boolean;
  /** Nothing is painted. */
  readonly allBlack: boolean;
  /** One line for the user when the mask had to be resized to match the picture, else null. */
  readonly warning: string | null;
}

/** The numbers of a mask that tell whether it makes sense. */
export function maskStatistics(data: Float32Array): Pick<Mask, 'painted' | 'allWhite' | 'allBlack'> {
  let sum = 0;
  let least = 1;
  let most = 0;
  for (const value of data) {
    sum += value;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  // Half a grey level: below it the mask is one colour.
  const epsilon = 0.5 / 255;
  return {
    painted: data.length === 0 ? 0 : sum / data.length,
    allWhite: data.length > 0 && least >= 1 - epsilon,
    allBlack: most <= epsilon,
  };
}

/**
 * Reads a mask. Colours count by their luminance; transparent parts are kept, half-transparent ones half.
 * @throws InputError when the file is missing, is no picture, or its proportions are not the picture's
 */
export async function readMask(path: string, options: MaskOptions = {}): Promise<Mask> {
  const { fit = 'crop', picture } = options;
  checkFit(fit);
  const size = options.size === undefined ? null : checkSize(options.size);
  const warning = picture ? compareSizes(path, await sizeOfPicture(path), picture) : null;
  try {
    const opened = await openPicture(path);
    const black = { r: 0, g: 0, b: 0 };
    let pipeline = opened.flatten({ background: black });
    if (size)
      pipeline = pipeline.resize(size.width, size.height, {
        fit: SHARP_FIT[fit],
        background: black,
        kernel: 'linear', // sharper kernels overshoot at the edge of a mask
      });
    const { data, info } = await pipeline
      .toColourspace('b-w')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const values = new Float32Array(info.width * info.height);
    for (let i = 0; i < values.length; i++) values[i] = data[i * info.channels] / 255;
    return { data: values, width: info.width, height: info.height, ...maskStatistics(values), warning };
  } catch (error) {
    throw decodeError(error, path);
  }
}

function compareSizes(path: string, mask: Size, picture: Size): string | null {
  if (mask.width === picture.width && mask.height === picture.height) return null;
  const sizes = `the mask is ${mask.width}×${mask.height}, the picture ${picture.width}×${picture.height}`;
  // Same proportions when the mask, scaled to the picture's width, misses its height by a pixel at most.
  const scaled = (mask.height * picture.width) / mask.width;
  const back = (picture.height * mask.width) / picture.width;
  if (Math.abs(scaled - picture.height) > 1 && Math.abs(back - mask.height) > 1)
    throw new InputError(`${sizes} — ${path} — give a mask of the picture's size`);
  return `${sizes}: the mask is resized`;
}
