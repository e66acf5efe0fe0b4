/** The frames of a moving picture: a folder of pictures, an animated WebP or GIF, or a video by the system's ffmpeg. */
import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import sharp from 'sharp';
import { scanDataset } from '../data/index.js';
import { InputError, RunError } from '../errors.js';
import { isDirectory, isFile, oneLine, readBytes } from '../files/index.js';
import { decodeRgb, type RgbPicture } from '../image/index.js';

export interface Clip {
  /** How many frames there are; null where only reading tells. */
  readonly count: number | null;
  /** Milliseconds that a frame stays. */
  readonly delay: number;
  /** Frame after frame; to be gone through once. */
  readonly frames: AsyncIterable<RgbPicture>;
}

const ANIMATED = ['.webp', '.gif'];
const DELAY = 80;

/**
 * Opens a moving picture.
 * @param ffmpeg the program that reads videos
 * @throws InputError when it is none, or a video and there is no ffmpeg
 */
export async function openClip(path: string, ffmpeg = 'ffmpeg'): Promise<Clip> {
  if (await isDirectory(path)) return folderClip(path);
  if (!(await isFile(path))) throw new InputError(`no such file or folder — ${path} — check the path`);
  return ANIMATED.includes(extname(path).toLowerCase()) ? animatedClip(path) : videoClip(path, ffmpeg);
}

/** Numbers in names count as numbers: frame 10 comes after frame 9. */
const natural = new Intl.Collator('en', { numeric: true });

async function folderClip(path: string): Promise<Clip> {
  const { entries } = await scanDataset(path);
  const sorted = [...entries].sort((a, b) => natural.compare(a.name, b.name));
  async function* frames() {
    for (const entry of sorted) yield decodeRgb(entry.path);
  }
  return { count: sorted.length, delay: DELAY, frames: frames() };
}

async function animatedClip(path: string): Promise<Clip> {
  const bytes = await readBytes(path);
  const broken = (error: unknown) =>
    new InputError(`the animation is damaged (${oneLine(error)}) — ${path} — replace it`);
  const { pages = 1, delay } = await sharp(bytes, { animated: true })
    .metadata()
    .catch((error) => {
      throw broken(error);
    });
  async function* frames() {
    for (let page = 0; page < pages; page++) {
      const { data, info } = await sharp(bytes, { page })
        .flatten({ background: '#ffffff' })
        .toColourspace('srgb')
        .raw()
        .toBuffer({ resolveWithObject: true })
        .catch((error) => {
          throw broken(error);
        });
      yield { data: new Uint8Array(data), width: info.width, height: info.height };
    }
  }
  return { count: pages, delay: delay?.[0] || DELAY, frames: frames() };
}

async function videoClip(path: string, ffmpeg: string): Promise<Clip> {
  const about = await programOutput(ffmpeg, ['-hide_banner', '-i', path], path);
  if (!/Stream .*Video:/.test(about)) {
    throw new InputError(
      `no pictures in it that ffmpeg can read — ${path} — give a video, an animated WebP or GIF, or a folder of frames`,
    );
  }
  const fps = Number(/([\d.]+) fps/.exec(about)?.[1] ?? 25);
  return { count: null, delay: Math.max(1, Math.round(1000 / fps)), frames: decodeVideo(path, ffmpeg) };
}

/** What a program says on stderr. @throws InputError when there is no such program */
function programOutput(program: string, args: string[], path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.on('data', (part) => {
      text += part;
    });
    child.on('error', () =>
      reject(
        new InputError(
          `videos need ffmpeg, which is not installed — ${path} — install it (https://ffmpeg.org), or give a folder of frames or an animated WebP or GIF`,
        ),
      ),
    );
    child.on('close', () => resolve(text));
  });
}

/** Frames as ffmpeg writes them one after another: PPM, a header of three numbers and the pixels. */
async function* decodeVideo(path: string, ffmpeg: string): AsyncGenerator<RgbPicture> {
  const args = [
    '-hide_banner',
    '-loglevel',
    'error',
    '-i',
    path,
    '-f',
    'image2pipe',
    '-c:v',
    'ppm',
    'pipe:1',
  ];
  const child = spawn(ffmpeg, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (part) => {
    errors += part;
  });
  const closed = new Promise<number | null>((resolve) => {
    child.on('close', resolve);
    child.on('error', () => resolve(null));
  });
  let parts: Buffer[] = [];
  let held = 0;
  try {
    for await (const part of child.stdout as AsyncIterable<Buffer>) {
      parts.push(part);
      held += part.length;
      for (;;) {
        const header = ppmHeader(parts[0].length < 64 ? Buffer.concat(parts) : parts[0]);
        if (!header || held < header.start + header.width * header.height * 3) break;
        const all = Buffer.concat(parts);
        const end = header.start + header.width * header.height * 3;
        yield {
          data: new Uint8Array(all.subarray(header.start, end)),
          width: header.width,
          height: header.height,
        };
        parts = [all.subarray(end)];
        held = parts[0].length;
      }
    }
    if ((await closed) !== 0)
      throw new RunError(`ffmpeg failed: ${oneLine(errors) || 'no reason given'} — ${path} — mend the video`);
  } finally {
    child.kill();
  }
}

function ppmHeader(bytes: Buffer): { width: number; height: number; start: number } | null {
  const found = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.subarray(0, 64).toString('latin1'));
  return found && { width: Number(found[1]), height: Number(found[2]), start: found[0].length };
}
