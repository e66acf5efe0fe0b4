/** Pictures with transparency, for work that must give back every byte that it did not change. */
import sharp from 'sharp';
import { writeFileAtomic } from '../files/index.js';
import { decodeError, openPicture } from './decode.js';
import { encodePng, RECIPE_KEYWORD, type Recipe } from './encode.js';
import type { RgbPicture } from './picture.js';
import { addText } from './pngText.js';

/** An RGB picture, and how opaque its pixels are if some are not: [height, width], 255 is opaque. */
export interface AlphaPicture extends RgbPicture {
  readonly alpha?: Uint8Array;
}

/**
 * Reads a picture like `decodeRgb`, but keeps transparency beside the colours instead of flattening it.
 * @throws InputError when the file is missing, is no picture, is damaged, or is too large
 */
export async function decodeWithAlpha(path: string): Promise<AlphaPicture> {
  try {
    const opened = (await openPicture(path)).toColourspace('srgb').ensureAlpha();
    const { data, info } = await opened.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    const colours = new Uint8Array(width * height * 3);
    const alpha = new Uint8Array(width * height);
    let opaque = true;
    for (let i = 0; i < alpha.length; i++) {
      // Grey comes as two channels.
      for (let c = 0; c < 3; c++) colours[i * 3 + c] = data[i * channels + (channels < 3 ? 0 : c)];
      alpha[i] = data[i * channels + channels - 1];
      opaque &&= alpha[i] === 255;
    }
    return { data: colours, width, height, ...(opaque ? {} : { alpha }) };
  } catch (error) {
    throw decodeError(error, path);
  }
}

/** The picture on a white ground, as the models see it. */
export function onWhite({ data, width, height, alpha }: AlphaPicture): RgbPicture {
  if (!alpha) return { data, width, height };
  const flat = data.map((value, i) => {
    const a = alpha[Math.floor(i / 3)] / 255;
    return Math.round(value * a + 255 * (1 - a));
  });
  return { data: flat, width, height };
}

/** Like `writePng`, with the transparency if there is any. */
export async function writePngWithAlpha(path: string, picture: AlphaPicture, recipe: Recipe): Promise<void> {
  await writeFileAtomic(path, await encodePngWithAlpha(picture, recipe));
}

/** Like `encodePng`, with the transparency if there is any. */
export async function encodePngWithAlpha(picture: AlphaPicture, recipe: Recipe): Promise<Buffer> {
  const { data, width, height, alpha } = picture;
  if (!alpha) return encodePng(picture, recipe);
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < alpha.length; i++) {
    rgba.set(data.subarray(i * 3, i * 3 + 3), i * 4);
    rgba[i * 4 + 3] = alpha[i];
  }
  const png = await sharp(rgba, { raw: { width, height, channels: 4 }, limitInputPixels: false })
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toBuffer();
  return addText(png, RECIPE_KEYWORD, JSON.stringify(recipe));
}
