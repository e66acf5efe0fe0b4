/** Writes a rendered data set: pictures, exact masks, class names, and a list that says which belong together. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InputError } from '../../errors.js';
import { fileError, makeFolder } from '../../files/index.js';
import { encodePng } from '../../image/encode.js';
import { Random } from '../../random.js';
import { METADATA_FILE } from '../metadata.js';
import { checkRange, checkTarget, LICENCES_FILE, MADE_BY, putInPlace } from '../styles/make.js';
import { aerial } from './aerial.js';
import { Canvas, Dice, SIDE } from './canvas.js';
import { cells } from './cells.js';
import { landscapes } from './landscapes.js';
import { leaves } from './leaves.js';
import { moving } from './moving.js';
import { RENDERED_NAMES, type RenderedName } from './names.js';
import { type RenderedKind, render } from './scene.js';
import { scratches } from './scratches.js';
import { sprites } from './sprites.js';
import { streets } from './streets.js';

export const RENDERED: Readonly<Record<RenderedName, RenderedKind>> = {
  cells,
  aerial,
  landscapes,
  leaves,
  streets,
  scratches,
  moving,
  sprites,
};

export interface RenderedOptions {
  /** Folder to make. */
  readonly out: string;
  /** Side of the pictures in pixels, 32…1024; default 96. */
  readonly size?: number;
  /** Number of pictures; default depends on the kind. */
  readonly count?: number;
  /** Another seed gives other pictures; default 0. */
  readonly seed?: number;
  /** Replace a data set that an earlier call made. Other folders are never replaced. */
  readonly force?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface RenderedDataset {
  readonly name: string;
  readonly dir: string;
  readonly images: string;
  readonly masks: string;
  readonly classes: readonly string[];
  readonly size: number;
  readonly seed: number;
  readonly pictures: number;
  readonly seconds: number;
}

/**
 * Renders a data set with exact masks: `images/`, `masks/`, `classes.json`, and `images/metadata.jsonl`, which names the
 * mask, the group and the number of things of each picture. Everything is drawn by Sumi, nothing is a photograph.
 * Picture i of a seed is the same whatever the count.
 * @throws InputError for an unknown name, options out of range, or a folder that is in use
 */
export async function renderDataset(name: string, options: RenderedOptions): Promise<RenderedDataset> {
  const began = performance.now();
  const known = RENDERED_NAMES.find((candidate) => candidate === name);
  if (!known)
    throw new InputError(
      `no such dataset: ${name} — sumi dataset — choose one of ${RENDERED_NAMES.join(', ')}`,
    );
  const kind = RENDERED[known];
  const { size = 96, count = kind.defaultCount, seed = 0, force = false, onProgress, signal } = options;
  checkRange('size', size, 32, 1024);
  checkRange('count', count, 1, 100_000);
  checkRange('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  const dir = resolve(options.out);
  await checkTarget(dir, force);
  const temporary = join(dirname(dir), `.sumi-${basename(dir)}-${process.pid}.tmp`);
  try {
    await makeFolder(temporary);
    for (const folder of ['images', 'masks']) await mkdir(join(temporary, folder));
    const lines: string[] = [];
    for (let i = 0; i < count; i++) {
      signal?.throwIfAborted();
      const { picture, mask, ...about } = await drawPicture(kind, name, seed, i, size);
      const file = `${String(i).padStart(5, '0')}.png`;
      await writeFile(join(temporary, 'images', file), await encodePng(picture));
      await writeFile(join(temporary, 'masks', file), await encodePng(mask));
      lines.push(JSON.stringify({ file_name: file, mask: `../masks/${file}`, ...about }));
      onProgress?.(i + 1, count);
    }
    const licences = {
      madeBy: `${MADE_BY} ${name}`,
      size,
      seed,
      note: 'Rendered by Sumi from forms and noise: no photographs. CC0 1.0.',
      licence: { name: 'CC0 1.0', url: 'https://creativecommons.org/publicdomain/zero/1.0/' },
    };
    await writeFile(join(temporary, 'images', METADATA_FILE), `${lines.join('\n')}\n`);
    await writeFile(
      join(temporary, 'classes.json'),
      `${JSON.stringify({ classes: kind.classes }, null, 2)}\n`,
    );
    await writeFile(join(temporary, LICENCES_FILE), `${JSON.stringify(licences, null, 2)}\n`);
    await putInPlace(temporary, dir);
    return {
      name,
      dir,
      images: join(dir, 'images'),
      masks: join(dir, 'masks'),
      classes: kind.classes.map((c) => c.name),
      size,
      seed,
      pictures: count,
      seconds: (performance.now() - began) / 1000,
    };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (signal?.aborted) throw signal.reason;
    throw fileError(error, dir, 'cannot write the dataset');
  }
}

/** One picture of a kind with its mask; middles of what moves in pixels. */
export async function drawPicture(
  kind: RenderedKind,
  name: string,
  seed: number,
  index: number,
  size: number,
) {
  const frames = kind.frames ?? 1;
  const clip = Math.floor(index / frames);
  const colours = kind.classes.map(({ mask }) => mask);
  const canvas = new Canvas(colours);
  const { finish, ...scene } = kind.draw(canvas, new Dice(new Random(seed, name, clip)), index % frames);
  // The ground of a clip stands still, the noise does not: textures are the clip's own.
  const noise = new Random(seed, name, clip, 'finish');
  const drawn = await render(canvas, finish, colours, size, noise, index % frames);
  const scale = (units: number) => Number(((units * size) / SIDE).toFixed(2));
  return {
    ...drawn,
    objects: scene.objects,
    group: `${name}-${seed}-${clip}`,
    movers: scene.movers?.map(({ label, at: [x, y] }) => {
      return { class: kind.classes[label].name, x: scale(x), y: scale(y) };
    }),
  };
}
