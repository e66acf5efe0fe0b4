/** The real pictures of `sumi eval`. */
import { requireEnough } from '../../src/metrics/evaluate.js';
import { type PictureSet, readPictureSet } from '../../src/metrics/picture-set.js';
import type { EvalArgs } from '../eval.js';
import { type Progress, startProgress } from './progress.js';

/** Runs work under a progress display, whose total is known at its first update. */
export async function shown<T>(
  label: string,
  quiet: boolean,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  let progress: Progress | undefined;
  try {
    return await work((done, total) => {
      progress ??= startProgress({ label, total, quiet });
      progress.update(done);
    });
  } finally {
    progress?.stop();
  }
}

/**
 * Reads real pictures, at the side that the generated have.
 * @throws InputError when they are too few: before any are drawn to be compared with them
 */
export async function readReal(
  dir: string,
  argv: EvalArgs,
  size: number,
  signal: AbortSignal,
): Promise<PictureSet> {
  const { fit, background, label, seed, reference, quiet } = argv;
  const options = { fit, background, label, seed, most: reference, size, signal };
  const set = await shown(`read ${dir}`, quiet, (onProgress) =>
    readPictureSet(dir, { ...options, onProgress }),
  );
  requireEnough(set);
  return set;
}
