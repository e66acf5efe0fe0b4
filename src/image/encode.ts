/** Pictures as PNG files that remember how they were made. */
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { readBytes, writeFileAtomic } from '../files/index.js';
import { asRgb, type FloatPicture, type RgbPicture } from './picture.js';
import { addText, findText } from './pngText.js';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined };

/** How a picture was made (model, seed, scheduler, steps, …), as plain JSON. */
export type Recipe = { [key: string]: Json | undefined };

/** Keyword of the PNG text chunk that holds the recipe. */
export const RECIPE_KEYWORD = 'sumi';

/**
 * Encodes a picture as PNG. The same pixels and recipe give the same bytes: no time stamps.
 * @param picture RGB bytes, or values in [-1, 1]
 * @param recipe goes into an iTXt chunk with the keyword `sumi`, as JSON
 */
export async function encodePng(picture: RgbPicture | FloatPicture, recipe?: Recipe): Promise<Buffer> {
  const { data, width, height } = asRgb(picture);
  const png = await sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toBuffer();
  return recipe ? addText(png, RECIPE_KEYWORD, JSON.stringify(recipe)) : png;
}

/** Encodes and writes a picture in one go, never a part of it. @throws InputError | RunError, see `fileError` */
export async function writePng(
  path: string,
  picture: RgbPicture | FloatPicture,
  recipe?: Recipe,
): Promise<void> {
  await writeFileAtomic(path, await encodePng(picture, recipe));
}

/**
 * Reads the recipe of a PNG that Sumi wrote.
 * @returns null when the picture carries none
 * @throws InputError when the file is missing, no PNG, damaged, or its recipe is not a JSON object
 */
export async function readRecipe(path: string): Promise<Recipe | null> {
  const text = findText(await readBytes(path), RECIPE_KEYWORD, path);
  if (text === null) return null;
  const broken = new InputError(`the recipe in the picture is not readable — ${path} — it was changed`);
  let recipe: unknown;
  try {
    recipe = JSON.parse(text);
  } catch {
    throw broken;
  }
  if (recipe === null || typeof recipe !== 'object' || Array.isArray(recipe)) throw broken;
  return recipe as Recipe;
}
