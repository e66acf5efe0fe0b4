/** Writes a style dataset: sub-folders of PNG files, metadata.jsonl, and who drew what under which licence. */
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import sharp from 'sharp';
import { InputError } from '../../errors.js';
import { fileError, makeFolder } from '../../files/index.js';
import { encodePng } from '../../image/encode.js';
import { METADATA_FILE } from '../metadata.js';
import { findCollection } from './collections.js';
import type { Licence, StyleSource } from './source.js';

export interface StyleDatasetOptions {
  /** Folder to make. */
  out: string;
  /** Side of the pictures in pixels, 8…1024; default 64. */
  size?: number;
  /** Pictures per style; default depends on the collection. */
  count?: number;
  /** Another seed gives other pictures; default 0. */
  seed?: number;
  /** Only these styles; default all of the collection. */
  styles?: readonly string[];
  /** Replace a dataset that an earlier call made. Other folders are never replaced. */
  force?: boolean;
  onProgress?: (done: number, total: number) => void;
  /** Stops the work; what was begun is removed and the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface StyleDataset {
  readonly name: string;
  readonly dir: string;
  readonly size: number;
  readonly seed: number;
  readonly pictures: number;
  readonly seconds: number;
  readonly styles: readonly (Licence & {
    readonly label: string;
    readonly pictures: number;
  })[];
}

/** The file by which a folder is known to be ours. */
export const LICENCES_FILE = 'licences.json';
export const MADE_BY = 'sumi dataset';

/** How many pictures are drawn at a time. */
const CONCURRENCY = 2;
/** How many are drawn before the next look at which of them are new; part of the result, as order is. */
const ROUND = 64;

/**
 * Makes a style dataset from openly licensed drawings. The same name, seed, size and count give the same
 * pictures (of the same versions of the packages); no two pictures of a style are equal.
 * @param name `characters`, `emoji` or `shapes`
 * @throws InputError for an unknown name or style, a folder that is in use, options out of range, a missing
 *   package, or a style that has not so many different pictures; RunError when the disk is full
 */
export async function makeStyleDataset(name: string, options: StyleDatasetOptions): Promise<StyleDataset> {
  const began = performance.now();
  const { size = 64, seed = 0, force = false, onProgress, signal } = options;
  const collection = findCollection(name);
  const { count = collection.defaultCount, styles = collection.labels } = options;
  checkRange('size', size, 8, 1024);
  checkRange('count', count, 1, 1_000_000);
  checkRange('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  const labels = collection.labels.filter((label) => styles.includes(label));
  for (const style of styles)
    if (!collection.labels.includes(style))
      throw new InputError(`no such style: ${style} — ${name} — choose from ${collection.labels.join(', ')}`);
  if (labels.length === 0) throw new InputError(`no styles — ${name} — choose at least one`);

  const dir = resolve(options.out);
  await checkTarget(dir, force);
  const sources = await collection.load(labels);
  const temporary = join(dirname(dir), `.sumi-${basename(dir)}-${process.pid}.tmp`);
  try {
    await makeFolder(temporary);
    const lines: string[] = [];
    let done = 0;
    for (const source of sources) {
      await mkdir(join(temporary, source.label));
      await drawStyle(source, { seed, size, count, signal }, async (i, png) => {
        const fileName = `${source.label}/${String(i).padStart(5, '0')}.png`;
        await writeFile(join(temporary, fileName), png);
        lines.push(JSON.stringify({ file_name: fileName, label: source.label }));
        onProgress?.(++done, count * sources.length);
      });
    }
    const licences = {
      madeBy: `${MADE_BY} ${name}`,
      size,
      seed,
      note: 'Drawings remixed and rasterized. CC BY styles ask that the creator be named wherever the pictures, or pictures of a model trained on them, are shown.',
      styles: sources.map(({ label, about }) => ({ label, ...about, pictures: count })),
    };
    await writeFile(join(temporary, METADATA_FILE), `${lines.join('\n')}\n`);
    await writeFile(join(temporary, LICENCES_FILE), `${JSON.stringify(licences, null, 2)}\n`);
    await putInPlace(temporary, dir);
    return {
      name,
      dir,
      size,
      seed,
      pictures: lines.length,
      seconds: (performance.now() - began) / 1000,
      styles: licences.styles,
    };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (signal?.aborted) throw signal.reason;
    throw fileError(error, dir, 'cannot write the dataset');
  }
}

export function checkRange(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new InputError(
      `${name} of ${value} is not possible — sumi dataset — give a whole number from ${least} to ${most}`,
    );
}

/** Draws `count` different pictures of a style and hands them out in order. */
async function drawStyle(
  source: StyleSource,
  { seed, size, count, signal }: { seed: number; size: number; count: number; signal?: AbortSignal },
  take: (index: number, png: Buffer) => Promise<void>,
): Promise<void> {
  const seen = new Set<string>();
  // A style with too few drawings shows itself by rounds in which nearly all is known already.
  const attempts = 8 * count + 16 * ROUND;
  let taken = 0;
  for (let first = 0; taken < count; first += ROUND) {
    if (first >= attempts)
      throw new InputError(
        `the style ${source.label} has only about ${taken} different pictures at this size — count — ask for fewer`,
      );
    const drawn: Uint8Array[] = new Array(ROUND);
    let next = 0;
    const work = async () => {
      while (next < ROUND) {
        signal?.throwIfAborted();
        const i = next++;
        drawn[i] = await rasterize(source.svg(seed, first + i), size);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    for (const data of drawn) {
      const digest = createHash('sha256').update(data).digest('base64');
      if (taken === count || seen.has(digest)) continue;
      seen.add(digest);
      await take(taken++, await encodePng({ data, width: size, height: size }));
    }
  }
}

/** SVG to RGB bytes [size, size, 3], on white where it is transparent. The SVG's own size must be 64×64. */
export async function rasterize(svg: string, size: number): Promise<Uint8Array> {
  const data = await sharp(Buffer.from(svg), { density: (72 * size) / 64 })
    .resize(size, size, { fit: 'fill' })
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw()
    .toBuffer();
  return new Uint8Array(data);
}

/** A new or empty folder, or with `force` one that this function made. */
export async function checkTarget(dir: string, force: boolean): Promise<void> {
  const found = await stat(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw fileError(error, dir, 'cannot open');
  });
  if (!found) return;
  if (!found.isDirectory())
    throw new InputError(`a file is in the way — ${dir} — give another folder with --out`);
  const items = await readdir(dir).catch((error) => {
    throw fileError(error, dir, 'cannot open');
  });
  if (items.length === 0) return;
  const ours = await isOurs(dir);
  if (force && ours) return;
  throw new InputError(
    ours
      ? `the dataset exists already — ${dir} — add --force to make it anew, or give another --out`
      : `the folder is not empty — ${dir} — give another folder with --out`,
  );
}

async function isOurs(dir: string): Promise<boolean> {
  try {
    const text = await readFile(join(dir, LICENCES_FILE), 'utf8');
    const { madeBy } = JSON.parse(text) as { madeBy?: unknown };
    return typeof madeBy === 'string' && madeBy.startsWith(MADE_BY);
  } catch {
    return false;
  }
}

/** The old folder, if any, is moved aside first and removed last, so that one of the two is always whole. */
export async function putInPlace(temporary: string, dir: string): Promise<void> {
  const aside = `${temporary}.old`;
  const exists = await access(dir).then(
    () => true,
    () => false,
  );
  if (exists) await rename(dir, aside);
  await rename(temporary, dir);
  if (exists) await rm(aside, { recursive: true, force: true });
}
