/** What the exports have in common: where they write, and what they take along. */
import { copyFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import { InputError } from '../errors.js';
import { fileError, isFile } from '../files/index.js';

/**
 * Refuses a folder that holds something: an export takes a folder's place as a whole.
 * @throws InputError
 */
export async function requireFreeFolder(out: string): Promise<void> {
  const names = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR')
      throw new InputError(`a file is where a folder is to be written — ${out} — name another --out`);
    throw fileError(error, out, 'cannot read');
  });
  if (names.length > 0)
    throw new InputError(`the folder is not empty — ${out} — name a new one as --out, or remove it`);
}

/** Copies a model's card, licence and notices, which must go where the weights go. */
export async function copyNotices(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (!/^(readme\.md|licen[cs]e(\.\w+)?|notice(\.\w+)?)$/i.test(name)) continue;
    if (await isFile(join(from, name))) await copyFile(join(from, name), join(to, name));
  }
}

/** A model's licence: of sumi.json, or of the model card (the `license:` of its front matter); undefined if unsaid. */
export async function licenceOf(dir: string, sumi: JsonObject): Promise<string | undefined> {
  if (typeof sumi.license === 'string') return sumi.license;
  const card = await readFile(join(dir, 'README.md'), 'utf8').catch(() => '');
  const [, front = ''] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(card) ?? [];
  return /^license:[ \t]*['"]?([^'"\r\n#]+)/m.exec(front)?.[1].trim();
}
