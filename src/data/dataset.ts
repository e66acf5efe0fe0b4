/** A folder of pictures, decoded once and held in memory as bytes. */
import { constants } from 'node:buffer';
import { createHash } from 'node:crypto';
import { totalmem } from 'node:os';
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { oneLine, readBytes } from '../files/index.js';
import { checkFit, type DecodeOptions, decodeRgb, type Fit } from '../image/decode.js';
import { parseColour, type RgbPicture, toFloat } from '../image/picture.js';
import { cachePath, readCache, writeCache } from './cache.js';
import { type PictureEntry, type Scan, scanDataset } from './scan.js';

export interface DatasetOptions {
  /** Side of the decoded squares in pixels; default 64. */
  size?: number;
  /** Shows through transparent pictures; default white. */
  background?: string;
  /** Default `crop`. */
  fit?: Fit;
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
  readonly count: number;
  /** RGB bytes [count, size, size, 3]. */
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
  const { size = 64, background = '#ffffff', fit = 'crop', strict = false } = options;
  // Checked before the pictures, whose own faults are skipped.
  checkFit(fit);
  await parseColour(background);
  const scan = await scanDataset(dir);
  checkMemory(scan, size);
  const decode = { size, fit, background };

  const cacheFile = options.cache ? await cachePath(options.cache, scan, decode) : null;
  let decoded = cacheFile ? await readCache(cacheFile, scan.entries.length, size) : null;
  if (!decoded) {
    decoded = await decodeAll(scan.entries, decode, options);
    if (cacheFile) await writeCache(cacheFile, decoded);
  }
  const { digests, skipped } = decoded;
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

/** Picture `index` of a dataset, as bytes. @throws InputError when there is no such picture */
export function pictureAt(dataset: Dataset, index: number): RgbPicture {
  const { size, count, pixels } = dataset;
  if (!Number.isInteger(index) || index < 0 || index >= count)
    throw new InputError(`no picture ${index} — ${dataset.dir} — there are ${count}, from 0`);
  const stride = size * size * 3;
  return { data: pixels.slice(index * stride, (index + 1) * stride), width: size, height: size };
}

/** Pictures of a dataset in [-1, 1], [indices.length, size, size, 3], unchanged by augmentation. */
export function floatPictures(dataset: Dataset, indices: ArrayLike<number>): Float32Array {
  const stride = dataset.size ** 2 * 3;
  const out = new Float32Array(indices.length * stride);
  for (let k = 0; k < indices.length; k++)
    toFloat(pictureAt(dataset, indices[k]).data, out.subarray(k * stride, (k + 1) * stride));
  return out;
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
  decode: DecodeOptions & { size: number },
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
        const picture = await decodeRgb(bytes, decode, path);
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
  return { pixels, digests, skipped };
}
