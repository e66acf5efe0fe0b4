/** Palettes: colours as they are written down, or the main ones of a picture. */
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { decodeRgb } from './decode.js';

/** Red, green and blue, 0 to 255. */
type Rgb = [red: number, green: number, blue: number];

/** How many colours of a picture make its palette. */
const MAIN = 6;

/** Pixels along the longer side of what they are counted in. */
const COUNTED = 128;

/**
 * Reads a palette.
 * @param source colours such as `#3b6fd4,#fc0`, or a picture's file, whose main colours are taken: six at most
 * @throws InputError for what is neither, and for less than two colours
 */
export async function readPalette(source: string): Promise<Rgb[]> {
  const palette = source.trim().startsWith('#') ? source.split(',').map(parseHex) : await mainColours(source);
  if (new Set(palette.map(String)).size < 2)
    throw new InputError(`one colour is no palette — --palette ${source} — give two or more`);
  return palette;
}

/** As it is written again. */
export const hexOf = (colour: readonly number[]): string =>
  `#${colour.map((x) => Math.round(x).toString(16).padStart(2, '0')).join('')}`;

function parseHex(text: string): Rgb {
  const hex = /^#(?:[\da-f]{3}|[\da-f]{6})$/i.exec(text.trim())?.[0].slice(1);
  if (!hex)
    throw new InputError(
      `'${text}' is no colour — --palette — write colours as #rrggbb, with commas between`,
    );
  const digits = hex.length === 3 ? [...hex].map((d) => d + d) : (hex.match(/../g) as string[]);
  return digits.map((d) => Number.parseInt(d, 16)) as Rgb;
}

/** The colours that a quantizer shows a picture with. */
async function mainColours(path: string): Promise<Rgb[]> {
  const { data, width, height } = await decodeRgb(path);
  const indexed = await sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .resize(COUNTED, COUNTED, { fit: 'inside', withoutEnlargement: true })
    .png({ palette: true, colours: MAIN, dither: 0, effort: 10 })
    .toBuffer();
  const shown = await decodeRgb(indexed);
  const colours = new Map<string, Rgb>();
  for (let i = 0; i < shown.data.length; i += 3) {
    const colour = [...shown.data.subarray(i, i + 3)] as Rgb;
    colours.set(hexOf(colour), colour);
  }
  return [...colours.values()];
}
