/**
 * The decoded pictures of a folder in one file, so that the next run starts at once. The file is named after
 * what went into it, so a changed folder never finds an old copy; a damaged one is made anew.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { fileError, writeFileAtomic } from '../files/index.js';
import type { Decoded } from './dataset.js';
import type { Scan } from './scan.js';

/** Counts up when decoding changes, so that old copies are not used. */
const VERSION = 1;

const Header = z.object({
  digests: z.array(z.string().nullable()),
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
  pixels: z.string(),
  buckets: z
    .object({
      sizes: z.array(z.object({ width: z.number(), height: z.number() })),
      ids: z.array(z.number()),
    })
    .optional(),
});

/** Where the copy of this folder with these settings lies; files count as the same by name, size and time. */
export async function cachePath(folder: string, scan: Scan, settings: object): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify([VERSION, resolve(scan.dir), settings]));
  for (const { name, path } of scan.entries) {
    const { size, mtimeMs } = await stat(path).catch((error) => {
      throw fileError(error, path, 'cannot read');
    });
    key.update(JSON.stringify([name, size, mtimeMs]));
  }
  return join(folder, `${key.digest('hex').slice(0, 32)}.pixels`);
}

/** @returns null when there is no usable copy */
export async function readCache(path: string, count: number, size: number): Promise<Decoded | null> {
  try {
    const bytes = await readFile(path);
    const end = bytes.indexOf(0x0a);
    const header = Header.parse(JSON.parse(bytes.toString('utf8', 0, end)));
    const pixels = new Uint8Array(bytes.subarray(end + 1));
    const intact =
      header.digests.length === count &&
      pixels.length === count * size * size * 3 &&
      createHash('sha256').update(pixels).digest('hex') === header.pixels;
    if (!intact) return null;
    const { digests, skipped, buckets } = header;
    return {
      pixels,
      digests,
      skipped,
      ...(buckets && { buckets: { ...buckets, ids: Uint8Array.from(buckets.ids) } }),
    };
  } catch {
    return null;
  }
}

/** Writes a copy: a line of JSON, then the bytes. @throws InputError | RunError, see `fileError` */
export async function writeCache(
  path: string,
  { pixels, digests, skipped, buckets }: Decoded,
): Promise<void> {
  const header = {
    digests,
    skipped,
    pixels: createHash('sha256').update(pixels).digest('hex'),
    ...(buckets && { buckets: { ...buckets, ids: [...buckets.ids] } }),
  };
  await writeFileAtomic(path, Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), pixels]));
}
