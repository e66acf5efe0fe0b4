/** Where the pictures of a command go. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../src/errors.js';
import { fileError, makeFolder } from '../../src/files/index.js';

export interface Outputs {
  /** File of picture i. */
  readonly file: (i: number) => string;
  readonly folder: string;
  /** File of the sheet of all pictures, if there is to be one. */
  readonly grid: string | undefined;
}

/**
 * - `--out x.png` with one picture: that file, and `x-grid.png`;
 * - `--out x.png` with several: `x-SEED.png`, and the sheet is `x.png`;
 * - anything else is a folder of `SEED.png` and `grid.png`.
 * Variations of one picture have names `SEED-0`, `SEED-1` in place of those of the seeds after it.
 * @throws InputError when --out names a file of another kind
 */
export function outputsOf({
  out,
  count,
  seed,
  grid,
  vary,
}: {
  readonly out: string;
  readonly count: number;
  readonly seed: number;
  readonly grid: boolean;
  readonly vary?: number;
}): Outputs {
  const name = (i: number) => (vary === undefined ? String(seed + i) : `${seed}-${i}`);
  const extension = path.extname(out).toLowerCase();
  if (['.jpg', '.jpeg', '.webp', '.gif'].includes(extension)) {
    throw new InputError(`pictures are written as PNG — --out ${out} — name a .png file or a folder`);
  }
  if (extension === '.png') {
    const stem = out.slice(0, -extension.length);
    const folder = path.dirname(out);
    return count === 1
      ? { file: () => out, folder, grid: grid ? `${stem}-grid.png` : undefined }
      : { file: (i) => `${stem}-${name(i)}.png`, folder, grid: grid ? out : undefined };
  }
  return {
    file: (i) => path.join(out, `${name(i)}.png`),
    folder: out,
    grid: grid ? path.join(out, 'grid.png') : undefined,
  };
}

/**
 * Makes the folders of the files that are to be written, so that a place which cannot be written is found before the
 * work and not after it.
 * @throws InputError | RunError naming the place
 */
export async function prepareFiles(files: readonly string[]): Promise<void> {
  for (const folder of new Set(files.map((file) => path.dirname(file)))) {
    await makeFolder(folder);
    await access(folder, constants.W_OK).catch((error: unknown) => {
      throw fileError(error, folder, 'cannot write into');
    });
  }
  for (const file of files) {
    if ((await stat(file).catch(() => null))?.isDirectory())
      throw new InputError(`a folder is where a file is to be written — ${file} — name another file`);
  }
}
