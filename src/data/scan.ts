/** Which pictures a folder holds, and what they are labelled. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { InputError } from '../errors.js';
import { fileError } from '../files/index.js';
import { METADATA_FILE, readMetadata } from './metadata.js';

export interface PictureEntry {
  /** Path relative to the dataset, with `/` on every system: the picture's name in messages and orders. */
  readonly name: string;
  readonly path: string;
  /** null when nothing names one. */
  readonly label: string | null;
}

export interface Scan {
  readonly dir: string;
  /** In code-unit order of their names, the same on every machine. */
  readonly entries: readonly PictureEntry[];
  /** The distinct labels, in code-unit order. */
  readonly labels: readonly string[];
  /** Files that are no pictures by their extension; hidden files are not counted. */
  readonly unsupported: number;
  /** Pictures that metadata.jsonl does not list and that are therefore left out. */
  readonly unlisted: number;
}

/** What Sumi decodes. */
export const PICTURE_EXTENSIONS: readonly string[] = [
  '.png',
  '.jpg',
  '.jpeg',
  '.jfif',
  '.webp',
  '.gif',
  '.tif',
  '.tiff',
  '.avif',
  '.svg',
];

/** Files that a dataset has beside its pictures. */
const SIDE_FILES = new Set([METADATA_FILE, 'licences.json']);

/** Order by UTF-16 code units, not by the locale of the machine. */
export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Lists the pictures of a folder and its sub-folders. Labels come from `metadata.jsonl` files where there are
 * any (Hugging Face imagefolder), else from the first-level sub-folder; hidden files are passed over.
 * @throws InputError when the folder is missing, a file, unreadable or without pictures, or when metadata.jsonl
 *   has a malformed line or names a missing file
 */
export async function scanDataset(dir: string): Promise<Scan> {
  await checkFolder(dir);
  const files: string[] = [];
  await walk(dir, '', files, new Set());
  files.sort(byCodeUnits);

  const pictures = files.filter((name) => PICTURE_EXTENSIONS.includes(extname(name).toLowerCase()));
  const lists = files.filter((name) => name === METADATA_FILE || name.endsWith(`/${METADATA_FILE}`));
  const sides = files.filter((name) => SIDE_FILES.has(name.slice(name.lastIndexOf('/') + 1)));
  const unsupported = files.length - pictures.length - sides.length;

  const folderLabel = (name: string) => (name.includes('/') ? name.slice(0, name.indexOf('/')) : null);
  let labelled = pictures.map((name) => ({ name, label: folderLabel(name) }));
  if (lists.length > 0) {
    const listed = await readMetadata(dir, lists, pictures);
    // Where the metadata has no labels at all (captions of another kind), the folders still may.
    const named = [...listed.values()].some((label) => label !== null);
    labelled = pictures
      .filter((name) => listed.has(name))
      .map((name) => ({ name, label: named ? (listed.get(name) ?? null) : folderLabel(name) }));
  }
  if (labelled.length === 0) {
    const others = unsupported > 0 ? ` (${unsupported} files of other kinds)` : '';
    throw new InputError(`no pictures in the folder${others} — ${dir} — put PNG, JPEG or WebP files there`);
  }
  const entries = labelled.map((entry) => ({ ...entry, path: join(dir, entry.name) }));
  const labels = [...new Set(entries.flatMap(({ label }) => (label === null ? [] : [label])))];
  return {
    dir,
    entries,
    labels: labels.sort(byCodeUnits),
    unsupported,
    unlisted: pictures.length - labelled.length,
  };
}

async function checkFolder(dir: string): Promise<void> {
  const found = await stat(dir).catch((error) => {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? new InputError(`no such folder — ${dir} — give a folder of pictures`)
      : fileError(error, dir, 'cannot open the dataset');
  });
  if (!found.isDirectory())
    throw new InputError(`a file, not a folder — ${dir} — give the folder that holds the pictures`);
}

/** Collects the files below `dir/prefix`. Links are followed; folders seen already are not entered again. */
async function walk(dir: string, prefix: string, files: string[], seen: Set<string>): Promise<void> {
  const here = join(dir, prefix);
  try {
    const real = await realpath(here);
    if (seen.has(real)) return;
    seen.add(real);
    const items = await readdir(here, { withFileTypes: true });
    items.sort((a, b) => byCodeUnits(a.name, b.name));
    for (const item of items) {
      if (item.name.startsWith('.')) continue;
      const name = prefix === '' ? item.name : `${prefix}/${item.name}`;
      // A link that leads nowhere is passed over like a file of another kind.
      const kind = item.isSymbolicLink() ? await stat(join(dir, name)).catch(() => item) : item;
      if (kind.isDirectory()) await walk(dir, name, files, seen);
      else files.push(name);
    }
  } catch (error) {
    throw fileError(error, here, 'cannot read the folder');
  }
}
