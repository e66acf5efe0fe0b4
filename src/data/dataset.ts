/** A folder of pictures, decoded once and held in memory as bytes. */
import { constants } from 'node:buffer';
import { createHash } from 'node:crypto';
import { totalmem } from 'node:os';
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { oneLine, readBytes } from '../files/index.js';
import { checkFit, type DecodeOptions, decodeRgb, type Fit, sizeOfPicture } from '../image/decode.js';
import { parseColour, type RgbPicture, type Size, toFloat } from '../image/picture.js';
import { type Buckets, intoBuckets, mostFrequentFirst } from './buckets.js';
import { cachePath, readCache, writeCache } from './cache.js';
import { type PictureEntry, type Scan, scanDataset } from './scan.js';

export interface DatasetOptions {
  /** Side of the decoded squares in pixels; default 64. */
  size?: number;
  /** Shows through transparent pictures; default white. */
  background?: string;
  /** Default `crop`. */
  fit?: Fit;
  /**
   * Pictures become the nearest of several shapes of about `size`² pixels instead of squares; their sides are multiples of
   * this number, which `size` is one of. Default: squares.
   */
  bucketUnit?: number;
  /** A damaged picture is an error instead of being skipped. */
  strict?: boolean;
  /** Folder for a compact copy of the decoded pictures, used again while the files are the same; default none. */
  cache?: string;
  /** Called after each picture. */
  onProgress?: (done: number, total: number) => void;
  /** Stops the reading; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** A picture that could not be used. */
export interface Skipped {
  readonly name: string;
  /** The error's line. */
  readonly reason: string;
}

export interface Dataset {
  readonly dir: string;
  /** Side of the pictures in pixels. */
  readonly size: number;
  /** The pictures' shapes where they are not all squares. */
  readonly buckets?: Buckets;
  readonly count: number;
  /** RGB bytes [count, size, size, 3]; in buckets each picture's [height, width, 3] begins where its square would. */
  readonly pixels: Uint8Array;
  /** Name of each picture: its path within the folder. */
  readonly names: readonly string[];
  /** The distinct labels, in code-unit order; a picture's class is an index into them. */
  readonly labels: readonly string[];
  /** [count], each picture's index into `labels`, or -1 where it has no label. */
  readonly labelIds: Int32Array;
  readonly skipped: readonly Skipped[];
  /** Files of other kinds in the folder. */
  readonly unsupported: number;
  /** Pictures that metadata.jsonl leaves out. */
  readonly unlisted: number;
  /**
   * SHA-256 of every used file's content, name and label, and of size, fit and background: equal fingerprints
   * mean that a run can go on with this data as if nothing had happened.
   */
  readonly fingerprint: string;
}

/** How many pictures are decoded at a time. */
const CONCURRENCY = 2;

/** Decoded pictures before their skipped slots are closed up. */
export interface Decoded {
  /** [n, size, size, 3] */
  pixels: Uint8Array;
  buckets?: Buckets;
  /** SHA-256 of each file, or null where the picture was skipped. */
  digests: (string | null)[];
  skipped: Skipped[];
}

/**
 * Opens a folder of pictures (see `scanDataset` for where labels come from) and decodes them all.
 * @throws InputError when the folder is unusable, no picture can be decoded, the pictures would not fit in
 *   memory, or, with `strict`, a picture is damaged
 */
export async function openDataset(dir: string, options: DatasetOptions = {}): Promise<Dataset> {
  const { size = 64, background = '#ffffff', fit = 'crop', strict = false, bucketUnit } = options;
  // Checked before the pictures, whose own faults are skipped.
  checkFit(fit);
  await parseColour(background);
  const scan = await scanDataset(dir);
  checkMemory(scan, size);
  const decode = { size, fit, background, ...(bucketUnit && { bucketUnit }) };

  const cacheFile = options.cache ? await cachePath(options.cache, scan, decode) : null;
  let decoded = cacheFile ? await readCache(cacheFile, scan.entries.length, size) : null;
  if (!decoded) {
    const buckets = bucketUnit && intoBuckets(await sizesOf(scan.entries, size), size, bucketUnit);
    decoded = await decodeAll(scan.entries, { ...decode, ...(buckets && { buckets }) }, options);
    if (cacheFile) await writeCache(cacheFile, decoded);
  }
  const { digests, skipped, buckets } = decoded;
  if (strict && skipped.length > 0) throw new InputError(skipped[0].reason);

  const kept = scan.entries.flatMap((_, i) => (digests[i] === null ? [] : [i]));
  if (kept.length === 0)
    throw new InputError(
      `none of the ${scan.entries.length} pictures can be read — ${dir} — the first: ${skipped[0].name}`,
    );
  const stride = size * size * 3;
  kept.forEach((from, to) => {
    if (from !== to) decoded.pixels.copyWithin(to * stride, from * stride, (from + 1) * stride);
  });
  const entries = kept.map((i) => scan.entries[i]);
  const usedLabels = new Set(entries.map((entry) => entry.label));
  const labels = scan.labels.filter((label) => usedLabels.has(label));
  const idOf = new Map(labels.map((label, id) => [label, id]));
  const fingerprint = createHash('sha256').update(JSON.stringify(decode));
  entries.forEach(({ name, label }, i) => {
    fingerprint.update(JSON.stringify([name, label, digests[kept[i]]]));
  });
  return {
    dir,
    size,
    ...(buckets && {
      buckets: mostFrequentFirst({ ...buckets, ids: Uint8Array.from(kept, (i) => buckets.ids[i]) }),
    }),
    count: kept.length,
    pixels: decoded.pixels.subarray(0, kept.length * stride),
    names: entries.map(({ name }) => name),
    labels,
    labelIds: Int32Array.from(entries, ({ label }) => (label === null ? -1 : (idOf.get(label) ?? -1))),
    skipped,
    unsupported: scan.unsupported,
    unlisted: scan.unlisted,
    fingerprint: fingerprint.digest('hex'),
  };
}

/** Width and height of picture `index` of a dataset. */
export function sizeAt({ size, buckets }: Dataset, index: number): Size {
  return buckets ? buckets.sizes[buckets.ids[index]] : { width: size, height: size };
}

/** The pictures of each shape, the most frequent first; one list of all unless they are in buckets. */
export function byShape({ count, buckets }: Pick<Dataset, 'count' | 'buckets'>): number[][] {
  const all = Array.from({ length: count }, (_, i) => i);
  return buckets ? buckets.sizes.map((_, id) => all.filter((i) => buckets.ids[i] === id)) : [all];
}

/** The pictures that have the most frequent shape. */
export const mostFrequentShape = (dataset: Pick<Dataset, 'count' | 'buckets'>): number[] =>
  byShape(dataset)[0];

/** The bytes of picture `index` of a dataset, [height, width, 3], where they lie. */
export function bytesAt(dataset: Dataset, index: number): Uint8Array {
  const { width, height } = sizeAt(dataset, index);
  const start = index * dataset.size ** 2 * 3;
  return dataset.pixels.subarray(start, start + width * height * 3);
}

/** Picture `index` of a dataset, as bytes. @throws InputError when there is no such picture */
export function pictureAt(dataset: Dataset, index: number): RgbPicture {
  const { count, dir } = dataset;
  if (!Number.isInteger(index) || index < 0 || index >= count)
    throw new InputError(`no picture ${index} — ${dir} — there are ${count}, from 0`);
  return { data: bytesAt(dataset, index).slice(), ...sizeAt(dataset, index) };
}

/** Pictures of a dataset in [-1, 1], all of one shape, [indices.length, height, width, 3], unchanged by augmentation. */
export function floatPictures(dataset: Dataset, indices: ArrayLike<number>): Float32Array {
  const { width, height } = sizeAt(dataset, indices[0]);
  const stride = width * height * 3;
  const out = new Float32Array(indices.length * stride);
  for (let k = 0; k < indices.length; k++)
    toFloat(pictureAt(dataset, indices[k]).data, out.subarray(k * stride, (k + 1) * stride));
  return out;
}

/** The pictures' own sizes; one that cannot be read counts as a square, and decoding tells of it. */
async function sizesOf(entries: readonly PictureEntry[], size: number): Promise<Size[]> {
  const square = { width: size, height: size };
  const sizes: Size[] = [];
  for (const { path } of entries)
    sizes.push(
      await sizeOfPicture(path).catch((error) => {
        if (error instanceof InputError) return square;
        throw error;
      }),
    );
  return sizes;
}

function checkMemory({ entries, dir }: Scan, size: number): void {
  if (!Number.isInteger(size) || size < 1 || size > 4096)
    throw new InputError(
      `pictures of ${size} pixels a side — size — give a whole number from 1 to 4096; 64 is usual`,
    );
  const bytes = entries.length * size * size * 3;
  const most = Math.min(totalmem() * 0.7, constants.MAX_LENGTH);
  if (bytes > most)
    throw new InputError(
      `${entries.length} pictures of ${size}×${size} need ${(bytes / 2 ** 30).toFixed(1)} GiB of memory — ${dir} — choose a smaller size or fewer pictures`,
    );
}

async function decodeAll(
  entries: readonly PictureEntry[],
  { buckets, ...decode }: DecodeOptions & { size: number; buckets?: Buckets },
  { strict, onProgress, signal }: DatasetOptions,
): Promise<Decoded> {
  const stride = decode.size ** 2 * 3;
  const pixels = new Uint8Array(entries.length * stride);
  const digests: (string | null)[] = new Array(entries.length).fill(null);
  const reasons: (string | null)[] = new Array(entries.length).fill(null);
  let next = 0;
  let done = 0;
  let stopped = false;
  const work = async () => {
    while (next < entries.length && !stopped) {
      signal?.throwIfAborted();
      const i = next++;
      const { path } = entries[i];
      try {
        const bytes = await readBytes(path);
        const size = buckets ? buckets.sizes[buckets.ids[i]] : decode.size;
        const picture = await decodeRgb(bytes, { ...decode, size }, path);
        pixels.set(picture.data, i * stride);
        digests[i] = createHash('sha256').update(bytes).digest('hex');
      } catch (error) {
        // A full disk or a failing one is no fault of the picture.
        if (strict || !(error instanceof InputError)) throw error;
        reasons[i] = oneLine(error);
      }
      onProgress?.(++done, entries.length);
    }
  };
  const threads = sharp.concurrency();
  sharp.concurrency(1); // small pictures: parallel files beat parallel threads within one
  try {
    await Promise.all(
      Array.from({ length: CONCURRENCY }, () =>
        work().catch((error) => {
          stopped = true;
          throw error;
        }),
      ),
    );
  } finally {
    sharp.concurrency(threads);
  }
  const skipped = entries.flatMap(({ name }, i) => {
    const reason = reasons[i];
    return reason === null ? [] : [{ name, reason }];
  });
  return { pixels, digests, skipped, ...(buckets && { buckets }) };
}
