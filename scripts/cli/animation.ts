/** Pictures coming out of the noise, all at once, as an animated sheet. */
import path from 'node:path';
import { InputError } from '../../src/errors.js';
import {
  ANIMATION_EXTENSIONS,
  contactSheet,
  type RgbPicture,
  writeAnimation,
} from '../../src/image/index.js';

/** Frames of an animation: enough to look smooth, few enough to stay small. */
const MOST_FRAMES = 40;

/** @throws InputError when a file's extension is no animation's */
export function checkAnimationFile(file: string): void {
  const extension = path.extname(file).toLowerCase();
  if (ANIMATION_EXTENSIONS.some((known) => known === extension)) return;
  throw new InputError(
    `cannot animate as '${file}' — --animate — name a file ${ANIMATION_EXTENSIONS.join(' or ')}`,
  );
}

/** Collects frames picture by picture and writes them step by step. */
export class Animation {
  private readonly every: number;
  /** By frame: the pictures so far. */
  private readonly frames: RgbPicture[][] = [];

  constructor(private readonly steps: number) {
    this.every = Math.ceil(steps / MOST_FRAMES);
  }

  /** Whether a step (from 1) is shown: every n-th, and the last one. */
  wants(step: number): boolean {
    return step === this.steps || (step - 1) % this.every === 0;
  }

  /** Adds what the next picture looks like at a step that is wanted. */
  add(step: number, picture: RgbPicture): void {
    const index = Math.ceil((step - 1) / this.every);
    this.frames[index] = [...(this.frames[index] ?? []), picture];
  }

  /**
   * Writes the pictures that are complete (a stopped run has one that is not).
   * @param zoom every pixel becomes a block of this side
   */
  async write(file: string, complete: number, zoom: number): Promise<void> {
    const sheets = this.frames.map((pictures) =>
      contactSheet(pictures.slice(0, complete), { zoom, gap: complete === 1 ? 0 : 2 }),
    );
    await writeAnimation(file, await Promise.all(sheets));
  }
}
