/** A picture in memory, and the two ways of writing down a pixel: bytes and [-1, 1]. */
import sharp from 'sharp';
import { InputError } from '../errors.js';

/** Width and height in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** RGB bytes, row by row, [height, width, 3]. */
export interface RgbPicture extends Size {
  readonly data: Uint8Array;
}

/** RGB in [-1, 1], row by row, [height, width, 3]: what the networks read and write. */
export interface FloatPicture extends Size {
  readonly data: Float32Array;
}

/** Bytes 0…255 to [-1, 1]: x / 127.5 - 1. */
export function toFloat(bytes: Uint8Array, out = new Float32Array(bytes.length)): Float32Array {
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[i] / 127.5 - 1;
  return out;
}

/** [-1, 1] to bytes, rounded and clipped; NaN becomes 0. The inverse of `toFloat` for every byte. */
export function toBytes(values: Float32Array): Uint8Array {
  // A clamped array rounds, clips, and turns NaN to 0 itself.
  const clamped = new Uint8ClampedArray(values.length);
  for (let i = 0; i < values.length; i++) clamped[i] = (values[i] + 1) * 127.5;
  return new Uint8Array(clamped.buffer);
}

/** The same picture as bytes; a picture of bytes is returned as it is. */
export function asRgb(picture: RgbPicture | FloatPicture): RgbPicture {
  const { data, width, height } = picture;
  if (data.length !== width * height * 3)
    throw new InputError(
      `${data.length} values do not make a picture of ${width}×${height}×3 — picture — check its shape`,
    );
  return data instanceof Float32Array
    ? { data: toBytes(data), width, height }
    : { data: data as Uint8Array, width, height };
}

/** The same picture in [-1, 1]. */
export function asFloat(picture: RgbPicture): FloatPicture {
  return { data: toFloat(picture.data), width: picture.width, height: picture.height };
}

const colours = new Map<string, [number, number, number]>();

/**
 * Reads a colour as CSS writes it: `#ffdfbf`, `white`, `rgb(1,2,3)`.
 * @returns red, green and blue, 0…255
 * @throws InputError when it is no colour
 */
export async function parseColour(text: string): Promise<[number, number, number]> {
  const known = colours.get(text); // datasets ask for the same one for each picture
  if (known) return known;
  try {
    const pixel = sharp({ create: { width: 1, height: 1, channels: 3, background: text } });
    const [r, g, b] = await pixel.raw().toBuffer();
    colours.set(text, [r, g, b]);
    return [r, g, b];
  } catch {
    throw new InputError(`no such colour: ${text} — background — write it as #rrggbb or by name`);
  }
}

/** RGB pictures with left and right exchanged. @param data rows of `width` pixels, of one picture or several */
export function mirror(data: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let row = 0; row < data.length; row += width * 3)
    for (let x = 0; x < width; x++)
      out.set(data.subarray(row + x * 3, row + x * 3 + 3), row + (width - 1 - x) * 3);
  return out;
}
