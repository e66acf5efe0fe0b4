/** Pictures of one size, with their labels: what is compared. */
import { extname } from 'node:path';
import {
  bytesAt,
  type Dataset,
  type DatasetOptions,
  mostFrequentShape,
  openDataset,
  scanDataset,
  sizeAt,
} from '../data/index.js';
import { InputError } from '../errors.js';
import { type RgbPicture, readRecipe, sizeOfPicture } from '../image/index.js';
import type { GeneratedPicture } from '../pipelines/index.js';
import { Random } from '../random.js';

export interface PictureSet {
  /** Where the pictures are from, for messages. */
  readonly from: string;
  /** Side in pixels. */
  readonly size: number;
  readonly count: number;
  /** How many there were to choose from. */
  readonly of: number;
  readonly names: readonly string[];
  /** null where a picture has none. */
  readonly labels: readonly (string | null)[];
  /** Changes when the pictures do. */
  readonly fingerprint: string;
  readonly at: (i: number) => RgbPicture;
}

/** The labels of a set, each once, sorted. */
export const labelsIn = ({ labels }: PictureSet): string[] =>
  [...new Set(labels)].filter((label) => label !== null).sort();

export interface ReadOptions extends Pick<DatasetOptions, 'background' | 'fit' | 'onProgress' | 'signal'> {
  /** Pictures come to this side as training brings them there; without it they must all be squares of one size. */
  readonly size?: number;
  /** At most so many, drawn by the seed. */
  readonly most?: number;
  readonly seed?: number;
  /** Only pictures of this label. */
  readonly label?: string;
}

/**
 * Reads a folder of pictures. A picture that no folder and no metadata.jsonl labels has the label of its recipe.
 * @throws InputError when the folder is no good, a picture is damaged, or without `size` sizes differ
 */
export async function readPictureSet(dir: string, options: ReadOptions = {}): Promise<PictureSet> {
  const { background, fit, onProgress, signal } = options;
  const size = options.size ?? (await commonSize(dir));
  const dataset = await openDataset(dir, { size, background, fit, onProgress, signal, strict: true });
  return datasetSet(dataset, await labelsOf(dataset), options);
}

/**
 * Pictures of a dataset; of one in several shapes those of the most frequent one, which its models draw.
 * @param labels of all its pictures
 * @throws InputError when none has the label asked for
 */
export function datasetSet(
  dataset: Dataset,
  labels: readonly (string | null)[],
  { label, most, seed = 0 }: Pick<ReadOptions, 'label' | 'most' | 'seed'> = {},
): PictureSet {
  const { dir, size, names, fingerprint } = dataset;
  const wanted = mostFrequentShape(dataset).filter((i) => label === undefined || labels[i] === label);
  if (wanted.length === 0) {
    const known = [...new Set(labels)].filter((own) => own !== null).sort();
    const has = known.length > 0 ? `its labels are ${known.join(', ')}` : 'its pictures have no labels';
    throw new InputError(`no picture is labelled ${label} — ${dir} — ${has}`);
  }
  const order = new Random(seed, 'pictures').permutation(wanted.length);
  const chosen = [...order.subarray(0, most)].map((k) => wanted[k]);
  return {
    from: dir,
    size,
    count: chosen.length,
    of: wanted.length,
    names: chosen.map((i) => names[i]),
    labels: chosen.map((i) => labels[i]),
    fingerprint: JSON.stringify([fingerprint, label, most, seed]),
    at: (k) => ({ data: bytesAt(dataset, chosen[k]), ...sizeAt(dataset, chosen[k]) }),
  };
}

/** Labels for so many pictures, in the shares that a set has; undefined for one without labels. */
export function labelsLike(set: PictureSet, count: number, seed: number): string[] | undefined {
  const known = set.labels.filter((label) => label !== null);
  if (known.length === 0) return undefined;
  const chosen: string[] = [];
  for (let round = 0; chosen.length < count; round++)
    for (const i of new Random(seed, 'labels', round).permutation(known.length)) chosen.push(known[i]);
  return chosen.slice(0, count);
}

/** Pictures in memory as a set; all are squares of one size. */
export function generatedSet(from: string, pictures: readonly GeneratedPicture[]): PictureSet {
  return {
    from,
    size: pictures[0].width,
    count: pictures.length,
    of: pictures.length,
    names: pictures.map(({ seed }) => `${seed}.png`),
    labels: pictures.map(({ label }) => label),
    fingerprint: '',
    at: (i) => pictures[i],
  };
}

/** @throws InputError unless all pictures of a folder are squares of one size */
async function commonSize(dir: string): Promise<number> {
  const { entries } = await scanDataset(dir);
  let first: { name: string; side: number } | undefined;
  for (const { name, path } of entries) {
    const { width, height } = await sizeOfPicture(path);
    first ??= { name, side: width };
    const odd =
      width !== height
        ? `${name} is ${width}×${height}, no square`
        : first.side !== width
          ? `${name} is ${width}×${width}, ${first.name} ${first.side}×${first.side}`
          : undefined;
    if (odd) throw new InputError(`${odd} — ${dir} — say by --size what to compare at`);
  }
  return first?.side ?? 0;
}

/** The label of each picture of a dataset. */
export const datasetLabels = ({ labels, labelIds }: Dataset): (string | null)[] =>
  Array.from(labelIds, (id) => labels[id] ?? null);

async function labelsOf(dataset: Dataset): Promise<(string | null)[]> {
  const { dir, names, labels } = dataset;
  if (labels.length > 0) return datasetLabels(dataset);
  const found: (string | null)[] = [];
  for (const name of names) found.push(await recipeLabel(`${dir}/${name}`));
  return found;
}

async function recipeLabel(file: string): Promise<string | null> {
  if (extname(file).toLowerCase() !== '.png') return null;
  // A picture whose recipe cannot be read is a picture all the same.
  const recipe = await readRecipe(file).catch(() => null);
  return typeof recipe?.label === 'string' ? recipe.label : null;
}
