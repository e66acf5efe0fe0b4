/** metadata.jsonl, the way Hugging Face's imagefolder labels pictures: one JSON object a line. */
import { join, posix } from 'node:path';
import { InputError } from '../errors.js';
import { readBytes } from '../files/index.js';

export const METADATA_FILE = 'metadata.jsonl';

/** The columns that may hold the label; the first that a row has is taken. */
export const LABEL_KEYS = ['label', 'style', 'class', 'text', 'caption'] as const;

/**
 * Reads all metadata.jsonl files of a dataset. `file_name` is relative to the metadata's own folder.
 * @param lists names of the metadata files, relative to `dir`
 * @param pictures names of the pictures that exist, relative to `dir`
 * @returns label, or null, by picture name
 * @throws InputError for a malformed line (with its number), a missing file, a file listed twice
 */
export async function readMetadata(
  dir: string,
  lists: readonly string[],
  pictures: readonly string[],
): Promise<Map<string, string | null>> {
  // File systems differ in how they spell accents: names are compared in one normal form.
  const existing = new Map(pictures.map((name) => [name.normalize('NFC'), name]));
  const labels = new Map<string, string | null>();
  for (const list of lists) {
    const path = join(dir, list);
    for (const { row, where, fileName } of await readRows(path)) {
      const wanted = posix.normalize(posix.join(posix.dirname(list), fileName.replaceAll('\\', '/')));
      const name = existing.get(wanted.normalize('NFC'));
      if (name === undefined)
        throw new InputError(
          `the metadata names a picture that is not there: ${fileName} — ${where} — add the file or remove the line`,
        );
      if (labels.has(name))
        throw new InputError(`the picture is listed twice: ${fileName} — ${where} — remove one line`);
      labels.set(name, labelOf(row, where));
    }
  }
  return labels;
}

export interface MetadataRow {
  readonly row: Record<string, unknown>;
  readonly fileName: string;
  /** File and line, for messages. */
  readonly where: string;
}

/**
 * Reads the lines of a metadata.jsonl file.
 * @throws InputError for a line that is no JSON object or lacks `file_name`
 */
export async function readRows(path: string): Promise<MetadataRow[]> {
  const text = new TextDecoder().decode(await readBytes(path)); // drops a byte order mark
  return text.split(/\r?\n/).flatMap((line, i) => {
    if (line.trim() === '') return [];
    const where = `${path}:${i + 1}`;
    const row = parseRow(line, where);
    const fileName = row.file_name;
    if (typeof fileName !== 'string' || fileName === '')
      throw new InputError(`the line has no "file_name" — ${where} — add one, as in {"file_name":"a.png"}`);
    return [{ row, fileName, where }];
  });
}

function parseRow(line: string, where: string): Record<string, unknown> {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch {
    throw new InputError(`the line is not JSON — ${where} — write one JSON object a line`);
  }
  if (row === null || typeof row !== 'object' || Array.isArray(row))
    throw new InputError(`the line is not a JSON object — ${where} — write {"file_name":"…","label":"…"}`);
  return row as Record<string, unknown>;
}

function labelOf(row: Record<string, unknown>, where: string): string | null {
  const key = LABEL_KEYS.find((k) => row[k] !== undefined && row[k] !== null);
  if (key === undefined) return null;
  const value = row[key];
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  throw new InputError(`"${key}" is neither text nor a number — ${where} — write "${key}":"name"`);
}
