/** Files written whole or not at all, and the file system's errors as one line. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InputError, RunError } from '../errors.js';

/** Errors of the caller's making: a wrong path or missing rights. Everything else is the machine's. */
const CALLERS: Record<string, [what: string, remedy: string]> = {
  ENOENT: ['no such file or folder', 'check the path'],
  EACCES: ['no permission', 'change the rights or choose another path'],
  EPERM: ['no permission', 'change the rights or choose another path'],
  ENOTDIR: ['a part of the path is a file, not a folder', 'check the path'],
  EISDIR: ['a folder is where a file should be', 'give the path of a file'],
  EEXIST: ['a file is in the way', 'choose another path'],
  ENAMETOOLONG: ['the name is too long', 'choose a shorter one'],
  ELOOP: ['links that lead in a circle', 'check the path'],
};

const MACHINES: Record<string, [what: string, remedy: string]> = {
  ENOSPC: ['the disk is full', 'free some space and try again'],
  EDQUOT: ['the disk quota is used up', 'free some space and try again'],
  EROFS: ['the file system is read-only', 'choose another path'],
  EMFILE: ['too many open files', 'raise the limit (ulimit -n) and try again'],
  ENFILE: ['too many open files', 'close other programs and try again'],
  EIO: ['the disk reports an error', 'check the disk'],
};

/**
 * Turns an error of the file system into the line that the user reads.
 * @param error what was thrown; an InputError or RunError passes through
 * @param doing what was going on, as in "cannot write"
 * @returns InputError for a wrong path or missing rights, RunError for a full disk and the like
 */
export function fileError(error: unknown, path: string, doing: string): InputError | RunError {
  if (error instanceof InputError || error instanceof RunError) return error;
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  const callers = CALLERS[code];
  if (callers) return new InputError(`${doing}: ${callers[0]} — ${path} — ${callers[1]}`);
  const machines = MACHINES[code];
  if (machines) return new RunError(`${doing}: ${machines[0]} — ${path} — ${machines[1]}`);
  return new RunError(`${doing}: ${oneLine(error)} — ${path} — try again`);
}

/** The message of anything thrown, in one line. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, '; ').trim();
}

/** Reads a whole file. @throws InputError | RunError, see `fileError` */
export async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fileError(error, path, 'cannot read');
  }
}

/** Makes a folder and its parents; it may exist. @throws InputError | RunError, see `fileError` */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw fileError(error, path, 'cannot make the folder');
  }
}

/** Names of the temporary files of `writeFileAtomic`; only a killed process leaves one. */
export const TEMPORARY_NAME = /^\.sumi-\d+-[0-9a-f]{12}\.tmp$/;

/**
 * Writes a file so that a reader sees the old content or the new one, never a part: a hidden temporary name in
 * the same folder, fsync, rename. Missing parent folders are made.
 * @throws InputError for a wrong path or missing rights, RunError for a full disk and the like
 */
export async function writeFileAtomic(path: string, data: Uint8Array | string): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.sumi-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(folder, { recursive: true });
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw fileError(error, path, 'cannot write');
  }
}
