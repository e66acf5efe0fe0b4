/** Which mask belongs to which picture. */
import { dirname, extname, join, posix } from 'node:path';
import { type PictureEntry, scanDataset } from '../data/index.js';
import { METADATA_FILE, readRows } from '../data/metadata.js';
import { InputError } from '../errors.js';
import { isFile } from '../files/index.js';

export interface Pair {
  /** The picture's path within its folder. */
  readonly name: string;
  readonly image: string;
  readonly mask: string;
  /** Pictures of one group are all trained on or all held back. */
  readonly group: string;
}

/** What makes a group: every picture by itself, its folder, or its name up to the last `_` or `-`. */
export const GROUPINGS = ['none', 'folder', 'prefix'] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface Pairs {
  readonly pairs: readonly Pair[];
  /** Pictures that have no mask. */
  readonly unmasked: readonly string[];
  /** Masks that have no picture. */
  readonly unused: readonly string[];
}

const withoutExtension = (name: string): string => name.slice(0, name.length - extname(name).length);

/** The name that a picture and its mask share: folders and stem, without what masks are often marked by. */
export const stemOf = (name: string): string =>
  withoutExtension(name)
    .normalize('NFC')
    .replace(/[_-](mask|masks|seg|label|labels|gt)$/i, '');

export function groupOf(name: string, grouping: Grouping): string {
  if (grouping === 'folder') return posix.dirname(name);
  if (grouping === 'prefix') return withoutExtension(name).replace(/[_-][^_/-]*$/, '');
  return name;
}

/**
 * Pairs the pictures of a folder with masks: by metadata.jsonl in it, whose lines name `file_name` and `mask` (or
 * `mask_file_name`) and may name a `group`, else by equal stems in both folders (`a.jpg` and `a.png`, `a_mask.png`).
 * @param masks folder of masks; not needed with metadata.jsonl
 * @throws InputError when a folder is unusable, two files share a stem, metadata is malformed, or nothing pairs
 */
export async function findPairs(
  images: string,
  masks: string | undefined,
  grouping: Grouping = 'none',
): Promise<Pairs> {
  const list = join(images, METADATA_FILE);
  if (await isFile(list)) {
    const listed = await pairsOfMetadata(images, list, grouping);
    if (listed) return listed;
  }
  if (masks === undefined) {
    throw new InputError(
      `no masks — ${images} — give their folder by --masks, or name them in ${METADATA_FILE}`,
    );
  }
  const pictures = byStem((await scanDataset(images)).entries, images);
  const partners = byStem((await scanDataset(masks)).entries, masks);
  const pairs = [...pictures].flatMap(([stem, { name, path }]): Pair[] => {
    const mask = partners.get(stem);
    return mask ? [{ name, image: path, mask: mask.path, group: groupOf(name, grouping) }] : [];
  });
  if (pairs.length === 0) {
    const [[stem]] = pictures;
    throw new InputError(
      `no picture has a mask — ${masks} — name masks like their pictures: ${stem}.png for ${stem}`,
    );
  }
  return {
    pairs,
    unmasked: [...pictures].flatMap(([stem, { name }]) => (partners.has(stem) ? [] : [name])),
    unused: [...partners].flatMap(([stem, { name }]) => (pictures.has(stem) ? [] : [name])),
  };
}

function byStem(entries: readonly PictureEntry[], dir: string): Map<string, PictureEntry> {
  const found = new Map<string, PictureEntry>();
  for (const entry of entries) {
    const other = found.get(stemOf(entry.name));
    if (other)
      throw new InputError(`${other.name} and ${entry.name} share a name — ${dir} — rename or remove one`);
    found.set(stemOf(entry.name), entry);
  }
  return found;
}

/** @returns null when no line names a mask: the metadata is about something else */
async function pairsOfMetadata(dir: string, list: string, grouping: Grouping): Promise<Pairs | null> {
  const pairs: Pair[] = [];
  const unmasked: string[] = [];
  for (const { row, where, fileName } of await readRows(list)) {
    const mask = row.mask_file_name ?? row.mask;
    if (mask === undefined || mask === null) {
      unmasked.push(fileName);
      continue;
    }
    if (typeof mask !== 'string')
      throw new InputError(`"mask" is not the name of a file — ${where} — write "mask":"masks/a.png"`);
    const pair = { image: join(dir, fileName), mask: join(dirname(list), mask) };
    for (const path of Object.values(pair)) {
      if (!(await isFile(path)))
        throw new InputError(`the metadata names a file that is not there: ${path} — ${where} — add it`);
    }
    const group = row.group === undefined ? groupOf(fileName, grouping) : String(row.group);
    pairs.push({ name: fileName, ...pair, group });
  }
  return pairs.length > 0 ? { pairs, unmasked, unused: [] } : null;
}
