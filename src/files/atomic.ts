/** Files and folders that appear whole or not at all. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { InputError } from '../errors.js';
import { isDirectory, isFile, makeFolder } from './access.js';
import { fileError } from './errors.js';

/** Makes a folder's entries (names, renames) survive a power cut. */
async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a folder; there renames are journalled anyway.
  const handle = await open(path, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) await syncTree(child);
    else if (entry.isFile()) {
      const handle = await open(child, 'r+');
      await handle.sync().finally(() => handle.close());
    }
  }
  await syncDirectory(path);
}

const host = hostname().replaceAll(/[^\w.]/g, '');

/** `.NAME.tmp-HOST-PID-RANDOM` beside the target: on the same file system, so that rename is atomic. */
function temporaryBeside(path: string): string {
  return join(
    dirname(path),
    `.${basename(path).slice(0, 40)}.tmp-${host}-${process.pid}-${randomBytes(4).toString('hex')}`,
  );
}

const swept = new Set<string>();

/** Removes what killed processes of this machine left half-written in a folder; once is enough. */
async function sweepLeftovers(folder: string): Promise<void> {
  if (swept.has(folder)) return;
  swept.add(folder);
  for (const name of await readdir(folder).catch(() => [])) {
    const writer = writerOf(name);
    if (writer?.from === host && !isAlive(writer.pid))
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Machine and process that a temporary name belongs to. */
function writerOf(name: string): { from: string; pid: number } | null {
  const [, from, pid] = /^\..+\.tmp-(.*)-(\d+)-[0-9a-f]{8}$/.exec(name) ?? [];
  return from === undefined ? null : { from, pid: Number(pid) };
}

/** Whether a file or folder of this name was being written by a process that is gone, or by another machine. */
export function isLeftover(name: string): boolean {
  const writer = writerOf(name);
  return writer !== null && !(writer.from === host && isAlive(writer.pid));
}

/** Whether a process of this machine runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Writes a file so that `path` holds either what it held before or all of the new content, power cuts included:
 * temporary name, fsync, rename, fsync of the folder. Missing parent folders are made.
 * @throws InputError | RunError naming the path
 */
export async function writeFileAtomically<T>(
  path: string,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const target = resolve(path);
  const temporary = temporaryBeside(target);
  try {
    await makeFolder(dirname(target));
    await sweepLeftovers(dirname(target));
    const file = await open(temporary, 'wx');
    let result: T;
    try {
      result = await fill(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    await syncDirectory(dirname(target));
    return result;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw fileError(error, path, 'cannot write');
  }
}

/** `writeFileAtomically` for content that is at hand. */
export function writeFileAtomic(path: string, data: Uint8Array | string): Promise<void> {
  return writeFileAtomically(path, (file) => file.writeFile(data));
}

const previous = (dir: string): string => join(dirname(dir), `.${basename(dir)}.old`);

/**
 * Where a folder written by `writeDirectoryAtomically` is to be read: itself, or what it replaces if the machine
 * stopped between the two renames.
 */
export async function settledDirectory(dir: string): Promise<string> {
  const target = resolve(dir);
  if (!(await isDirectory(target)) && (await isDirectory(previous(target)))) return previous(target);
  return dir;
}

/**
 * Writes a folder as a whole: filled under a temporary name beside it, every file synced, then renamed. POSIX
 * cannot swap two non-empty folders in one step, so a folder that is replaced steps aside as `.NAME.old` for the
 * moment between two renames; `settledDirectory` finds it there after a crash.
 * @param fill writes the folder's content into the path it is given
 * @throws InputError | RunError naming the path
 */
export async function writeDirectoryAtomically<T>(
  dir: string,
  fill: (dir: string) => Promise<T>,
): Promise<T> {
  const target = resolve(dir);
  const temporary = temporaryBeside(target);
  const old = previous(target);
  try {
    await makeFolder(dirname(target));
    await sweepLeftovers(dirname(target));
    if (await isFile(target))
      throw new InputError(
        `a file is where a folder is to be written — ${dir} — choose another place or move it`,
      );
    await mkdir(temporary);
    const result = await fill(temporary);
    await syncTree(temporary);
    if (await isDirectory(target)) {
      await rm(old, { recursive: true, force: true });
      await rename(target, old);
      await rename(temporary, target).catch(async (error) => {
        await rename(old, target);
        throw error;
      });
    } else await rename(temporary, target);
    await syncDirectory(dirname(target));
    await rm(old, { recursive: true, force: true });
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    const told = fileError(error, dir, 'cannot write');
    // What fill wrote into had a hidden name.
    told.message = told.message.replaceAll(temporary, dir);
    throw told;
  }
}

/** Removes a folder so that no reader sees it half-removed: it is renamed first. */
export async function removeDirectory(dir: string): Promise<void> {
  const target = resolve(dir);
  const doomed = temporaryBeside(target);
  await rename(target, doomed);
  await rm(doomed, { recursive: true, force: true });
}
