/** Pictures and their masks, decoded once and held in memory as bytes, each in its own size. */
import { createHash } from 'node:crypto';
import { totalmem } from 'node:os';
import { InputError } from '../errors.js';
import { readBytes } from '../files/index.js';
import { decodeRgb, type RgbPicture, type Size } from '../image/index.js';
import { Random } from '../random.js';
import type { ClassTable } from './classes.js';
import { labelMap, readMaskColours } from './masks.js';
import type { Pair } from './pairs.js';

/** A picture with its truth. */
export interface Example extends RgbPicture {
  readonly name: string;
  readonly group: string;
  /** [height, width]: a class's number, or IGNORED. */
  readonly labels: Uint8Array;
}

export interface SegmentData {
  readonly examples: readonly Example[];
  readonly table: ClassTable;
  /** SHA-256 of every file's content and name, and of what was made of them. */
  readonly fingerprint: string;
}

export interface LoadOptions {
  /** Longest side in pixels: larger pictures are made smaller, masks by the nearest pixel; null: as they are. */
  readonly resize?: number | null;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** A size whose longest side is at most `longest`. */
export function limitSize({ width, height }: Size, longest: number | null | undefined): Size {
  const scale = Math.min(1, (longest ?? Number.POSITIVE_INFINITY) / Math.max(width, height));
  const side = (n: number) => Math.max(1, Math.round(n * scale));
  return { width: side(width), height: side(height) };
}

/**
 * Decodes pictures and masks.
 * @throws InputError when one cannot be read, or they would not fit in memory
 */
export async function loadExamples(
  pairs: readonly Pair[],
  table: ClassTable,
  { resize = null, onProgress, signal }: LoadOptions = {},
): Promise<SegmentData> {
  const fingerprint = createHash('sha256').update(JSON.stringify([table, resize]));
  const examples: Example[] = [];
  let bytes = 0;
  for (const [i, pair] of pairs.entries()) {
    signal?.throwIfAborted();
    const [file, maskFile] = [await readBytes(pair.image), await readBytes(pair.mask)];
    const whole = await decodeRgb(file, {}, pair.image);
    const size = limitSize(whole, resize);
    const picture =
      size.width === whole.width ? whole : await decodeRgb(file, { size, fit: 'stretch' }, pair.image);
    const { data: labels } = labelMap(await readMaskColours(pair.mask, size), table);
    examples.push({ ...picture, labels, name: pair.name, group: pair.group });
    fingerprint.update(JSON.stringify([pair.name, pair.group]));
    for (const content of [file, maskFile]) fingerprint.update(createHash('sha256').update(content).digest());
    bytes += picture.data.length + labels.length;
    if (bytes > totalmem() * 0.6) {
      throw new InputError(
        `the first ${i + 1} of ${pairs.length} pictures fill the memory — ${pair.image} — make them smaller by --resize, or use fewer`,
      );
    }
    onProgress?.(i + 1, pairs.length);
  }
  return { examples, table, fingerprint: fingerprint.digest('hex') };
}

export interface Split {
  readonly train: readonly Example[];
  readonly validation: readonly Example[];
}

/**
 * Holds back whole groups until they make up the share asked for: two frames of one film, or two slides of one
 * patient, are never on both sides.
 * @param share of the pictures, 0…1; 0 holds nothing back
 * @throws InputError when there are too few groups to divide
 */
export function splitByGroup(examples: readonly Example[], share: number, seed: number): Split {
  if (share === 0) return { train: examples, validation: [] };
  const groups = [...new Set(examples.map(({ group }) => group))];
  if (groups.length < 2) {
    throw new InputError(
      `the ${examples.length} pictures make one group, which cannot be divided — --validation — give pictures of another group, another --group, or --validation 0`,
    );
  }
  const wanted = Math.max(1, Math.round(share * examples.length));
  const held = new Set<string>();
  let count = 0;
  for (const i of new Random(seed, 'split').permutation(groups.length)) {
    if (count >= wanted || held.size === groups.length - 1) break;
    held.add(groups[i]);
    count += examples.filter(({ group }) => group === groups[i]).length;
  }
  return {
    train: examples.filter(({ group }) => !held.has(group)),
    validation: examples.filter(({ group }) => held.has(group)),
  };
}
