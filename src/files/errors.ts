/** The file system's errors as one line. */
import { InputError, RunError } from '../errors.js';

/** Errors of the caller's making: a wrong path or missing rights. Everything else is the machine's. */
const CALLERS: Record<string, [what: string, remedy: string]> = {
  ENOENT: ['no such file or folder', 'check the path'],
  EACCES: ['no permission', 'change the rights or choose another path'],
  EPERM: ['no permission', 'change the rights or choose another path'],
  ENOTDIR: ['a part of the path is a file, not a folder', 'check the path'],
  EISDIR: ['a folder is where a file should be', 'give the path of a file'],
  EEXIST: ['a file is in the way', 'choose another path or move it'],
  ENOTEMPTY: ['a folder is in the way', 'choose another path or move it'],
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

/** What an error code of the file system means and what to do about it; undefined for other codes. */
export function fileErrorWords(code: string): readonly [what: string, remedy: string] | undefined {
  return CALLERS[code] ?? MACHINES[code];
}

/**
 * Turns an error of the file system into the line that the user reads.
 * @param error what was thrown; what is no error of the file system passes through
 * @param doing what was going on, as in "cannot write"
 * @returns InputError for a wrong path or missing rights, RunError for a full disk and the like
 */
export function fileError(error: unknown, path: string, doing: string): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string' || code === 'ABORT_ERR') return error as Error;
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
