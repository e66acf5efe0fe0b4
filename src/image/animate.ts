/** Frames as an animated WebP or GIF: a picture coming out of the noise. */
import { extname } from 'node:path';
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { writeFileAtomic } from '../files/index.js';
import { asRgb, type FloatPicture, type RgbPicture } from './picture.js';

export interface AnimationOptions {
  /** Milliseconds that each frame stays; default 80. GIF counts in hundredths of a second. */
  delay?: number;
  /** Milliseconds that the last frame stays; default 1500. */
  hold?: number;
  /** How often it plays; 0, the default, is for ever. */
  loop?: number;
}

/** The formats of `encodeAnimation`, by file extension. */
export const ANIMATION_EXTENSIONS = ['.webp', '.gif'] as const;

function formatOf(path: string): 'webp' | 'gif' {
  const extension = extname(path).toLowerCase();
  if (extension === '.webp') return 'webp';
  if (extension === '.gif') return 'gif';
  throw new InputError(`cannot animate as '${extension}' — ${path} — name the file .webp or .gif`);
}

/**
 * Encodes frames of one size. WebP is lossless; GIF has at most 256 colours.
 * @param path only its extension counts
 * @throws InputError for no frames, frames of different sizes, another extension, or unusable times
 */
export async function encodeAnimation(
  path: string,
  frames: readonly (RgbPicture | FloatPicture)[],
  { delay = 80, hold = 1500, loop = 0 }: AnimationOptions = {},
): Promise<Buffer> {
  const format = formatOf(path);
  if (frames.length === 0) throw new InputError(`no frames — ${path} — give at least one`);
  for (const [name, value] of Object.entries({ delay, hold, loop }))
    if (!Number.isInteger(value) || value < 0 || value > 65535)
      throw new InputError(`${name} of ${value} is not possible — ${path} — give 0 to 65535`);
  const { width, height } = frames[0];
  if (frames.some((f) => f.width !== width || f.height !== height))
    throw new InputError(`frames of different sizes — ${path} — give frames of one size`);

  const frameSize = width * height * 3;
  const stacked = new Uint8Array(frames.length * frameSize);
  frames.forEach((frame, i) => {
    stacked.set(asRgb(frame).data, i * frameSize);
  });
  const delays = frames.map((_, i) => (i === frames.length - 1 ? hold : delay));
  const pipeline = sharp(stacked, {
    raw: { width, height: height * frames.length, channels: 3, pageHeight: height },
    limitInputPixels: false,
  });
  return format === 'webp'
    ? pipeline.webp({ lossless: true, loop, delay: delays }).toBuffer()
    : pipeline.gif({ loop, delay: delays, effort: 7 }).toBuffer();
}

/** Encodes and writes an animation. @throws InputError | RunError, see `encodeAnimation` and `fileError` */
export async function writeAnimation(
  path: string,
  frames: readonly (RgbPicture | FloatPicture)[],
  options: AnimationOptions = {},
): Promise<void> {
  await writeFileAtomic(path, await encodeAnimation(path, frames, options));
}
