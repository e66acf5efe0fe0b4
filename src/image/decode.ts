/** Any picture file as RGB of the size wanted. */
import sharp, { type Sharp } from 'sharp';
import { InputError } from '../errors.js';
import { oneLine, readBytes } from '../files/index.js';
import { asFloat, type FloatPicture, parseColour, type RgbPicture, type Size } from './picture.js';

/**
 * How a picture comes to another shape: `crop` fits the short side and cuts the rest off evenly, `pad` fits the
 * long side and fills with the background, `stretch` ignores the proportions.
 */
export type Fit = 'crop' | 'pad' | 'stretch';

export const FITS: readonly Fit[] = ['crop', 'pad', 'stretch'];

/** What sharp calls them. */
export const SHARP_FIT = { crop: 'cover', pad: 'contain', stretch: 'fill' } as const;

export interface DecodeOptions {
  /** Side of a square, or width and height, in pixels; without it the picture keeps its size. */
  size?: number | Size;
  /** Default `crop`. */
  fit?: Fit;
  /** Shows through transparent parts and around padded pictures; default white. */
  background?: string;
  /** Larger pictures are refused before they fill the memory; default 2^28 (16,384 × 16,384). */
  maxPixels?: number;
}

export const MAX_PIXELS = 2 ** 28;

/** `source` as it is named in messages. */
const nameOf = (source: string | Uint8Array, name?: string): string =>
  name ?? (typeof source === 'string' ? source : 'picture in memory');

/** A wanted size as width and height. @throws InputError unless both are whole numbers of 1…16,384 */
export function checkSize(size: number | Size): Size {
  const { width, height } = typeof size === 'number' ? { width: size, height: size } : size;
  for (const side of [width, height])
    if (!Number.isInteger(side) || side < 1 || side > 16384)
      throw new InputError(
        `a side of ${side} pixels is not possible — size — give a whole number from 1 to 16384`,
      );
  return { width, height };
}

/** @throws InputError when there is no such fit */
export function checkFit(fit: Fit): void {
  if (!FITS.includes(fit))
    throw new InputError(`no such fit: ${fit} — fit — choose one of ${FITS.join(', ')}`);
}

/**
 * Opens a picture for sharp, the right way up. The bytes are read here and not by libvips, whose cache knows
 * files by name and would show the old content of a file that was written again.
 */
export async function openPicture(source: string | Uint8Array, maxPixels = MAX_PIXELS): Promise<Sharp> {
  const bytes = typeof source === 'string' ? await readBytes(source) : source;
  if (bytes.length === 0)
    throw new InputError(`the file is empty — ${nameOf(source)} — give a picture (PNG, JPEG, WebP, …)`);
  return sharp(bytes, { failOn: 'error', limitInputPixels: maxPixels }).autoOrient();
}

/** What sharp says about a picture that it cannot read, as the line that the user reads. */
export function decodeError(error: unknown, name: string): Error {
  if (error instanceof InputError || (error instanceof Error && error.name === 'RunError')) return error;
  const text = oneLine(error);
  if (/pixel limit/i.test(text))
    return new InputError(`the picture has too many pixels — ${name} — make it smaller first`);
  if (/unsupported image format/i.test(text))
    return new InputError(`not a picture that Sumi can read — ${name} — give a PNG, JPEG, WebP, GIF or TIFF`);
  // libvips keeps one text of errors for all threads: its details may be another picture's.
  return new InputError(`the picture is damaged or cut off — ${name} — replace or remove it`);
}

/**
 * Reads a picture: turned as its EXIF orientation says, transparency flattened onto the background, any colour
 * space and depth brought to sRGB bytes, then brought to `size`.
 * @param source path, or the bytes of a picture file
 * @param name how messages call it, when `source` is bytes
 * @returns RGB bytes [height, width, 3]
 * @throws InputError when the file is missing, is no picture, is damaged, or is too large
 */
export async function decodeRgb(
  source: string | Uint8Array,
  options: DecodeOptions = {},
  name?: string,
): Promise<RgbPicture> {
  const { fit = 'crop', background = '#ffffff' } = options;
  checkFit(fit);
  const size = options.size === undefined ? null : checkSize(options.size);
  const [r, g, b] = await parseColour(background);
  try {
    const opened = await openPicture(source, options.maxPixels);
    let pipeline = opened.flatten({ background: { r, g, b } });
    if (size) {
      const { width, height } = size;
      pipeline = pipeline.resize(width, height, { fit: SHARP_FIT[fit], background: { r, g, b } });
    }
    const { data, info } = await pipeline
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { data: toThree(data, info.channels), width: info.width, height: info.height };
  } catch (error) {
    throw decodeError(error, nameOf(source, name));
  }
}

/** Like `decodeRgb`, in [-1, 1]. */
export async function decodeFloat(
  source: string | Uint8Array,
  options: DecodeOptions = {},
): Promise<FloatPicture> {
  return asFloat(await decodeRgb(source, options));
}

/** Width and height as the picture is seen, that is, after its EXIF orientation. */
export async function sizeOfPicture(source: string | Uint8Array): Promise<Size> {
  try {
    const { autoOrient } = await (await openPicture(source)).metadata();
    return { width: autoOrient.width, height: autoOrient.height };
  } catch (error) {
    throw decodeError(error, nameOf(source));
  }
}

/** Grey becomes RGB, anything after blue is dropped. */
function toThree(data: Uint8Array, channels: number): Uint8Array {
  // Copied in any case: sharp's buffer may be a window into a larger pool.
  if (channels === 3) return new Uint8Array(data);
  const pixels = data.length / channels;
  const out = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++)
    for (let c = 0; c < 3; c++) out[i * 3 + c] = data[i * channels + (channels < 3 ? 0 : c)];
  return out;
}
