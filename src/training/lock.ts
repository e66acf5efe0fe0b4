/** One process at a time trains in a run directory. */
import { open, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { fileError, isAlive } from '../files/index.js';

const NAME = 'run.lock';
/** Locks of this process: another process may have had its number before (in a container it often has). */
const held = new Set<string>();

/** Whether a lock was left by a process that is gone. One of another machine counts as left: it cannot be asked. */
function isStale(path: string, text: string): boolean {
  const [host, pid] = text.trim().split(' ');
  if (host !== hostname()) return true;
  return Number(pid) === process.pid ? !held.has(path) : !isAlive(Number(pid));
}

/**
 * Locks a run directory, which must exist.
 * @returns the function that unlocks it
 * @throws InputError while another process trains there; a lock that a killed process left is taken over
 */
export async function lockRun(dir: string): Promise<() => Promise<void>> {
  const path = join(dir, NAME);
  for (let attempt = 0; ; attempt++) {
    try {
      const file = await open(path, 'wx');
      const unlock = async () => {
        held.delete(path);
        await rm(path, { force: true });
      };
      held.add(path);
      try {
        await file.writeFile(`${hostname()} ${process.pid}\n`).finally(() => file.close());
      } catch (error) {
        await unlock();
        throw error;
      }
      return unlock;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(error, path, 'cannot write');
    }
    const text = await readFile(path, 'utf8').catch(() => '');
    // An empty lock is one that is being written.
    if (attempt > 0 || text === '' || !isStale(path, text)) {
      throw new InputError(
        `another process trains in this folder — ${dir} — wait for it, or delete ${path} if there is none`,
      );
    }
    await rm(path, { force: true });
  }
}
