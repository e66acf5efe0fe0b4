/** Reading files and making folders, with the file system's errors as one line. */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileError } from './errors.js';

export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}

/** Reads a whole file. @throws InputError | RunError, see `fileError` */
export async function readBytes(path: string): Promise<Buffer> {
  return await readFile(path).catch((error) => {
    throw fileError(error, path, 'cannot read');
  });
}

/**
 * Makes a folder and its parents one by one; it may exist. Node's recursive mkdir hides why it failed (a read-only
 * disk is "no such file"), and does not return at all from places like /proc.
 * @throws InputError | RunError, see `fileError`
 */
export async function makeFolder(path: string): Promise<void> {
  const missing: string[] = [];
  for (let at = resolve(path); !(await isDirectory(at)); at = dirname(at)) {
    missing.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const folder of missing) {
    await mkdir(folder).catch(async (error) => {
      // Another process may have made it meanwhile.
      if (!(await isDirectory(folder))) throw fileError(error, folder, 'cannot make the folder');
    });
  }
}
