/** The files of a run: config.json, metrics.jsonl, loss.svg, samples/. Training states are src/checkpoint's. */
import { appendFile, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatJson, type JsonObject, readJsonObject } from '../checkpoint/json.js';
import { InputError } from '../errors.js';
import { fileError, makeFolder, writeFileAtomic } from '../files/index.js';
import { lockRun } from './lock.js';
import { lossCurve } from './loss-curve.js';

/** One line of metrics.jsonl. */
export interface Metrics {
  readonly step: number;
  readonly loss: number;
  readonly [name: string]: number;
}

/** A line of metrics.jsonl that tells of a checkpoint. */
export type Measurement = JsonObject & { readonly step: number };

export const samplePath = (dir: string, step: number): string => join(dir, 'samples', `step-${step}.png`);

/**
 * Makes and locks a run directory, whole or not at all.
 * @returns the function that unlocks it
 * @throws InputError when the folder holds something already: a run is never overwritten
 */
export async function createRunDir(dir: string, config: JsonObject): Promise<() => Promise<void>> {
  const existing = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw fileError(error, dir, 'cannot use');
  });
  if (existing && existing.length > 0) {
    throw new InputError(
      `the folder is not empty — ${dir} — go on with the run by --resume ${dir}, or name another --out`,
    );
  }
  await makeFolder(dir);
  const removeMade = async () => {
    // Only what is empty and was not there before.
    if (!existing) await rmdir(dir).catch(() => {});
  };
  const unlock = await lockRun(dir).catch(async (error) => {
    await removeMade();
    throw error;
  });
  try {
    await makeFolders(dir);
    await writeFileAtomic(join(dir, 'config.json'), formatJson(config));
  } catch (error) {
    for (const folder of FOLDERS) await rm(join(dir, folder), { recursive: true, force: true });
    await unlock();
    await removeMade();
    throw error;
  }
  return unlock;
}

const FOLDERS = ['samples', 'checkpoints'] as const;

export async function makeFolders(dir: string): Promise<void> {
  for (const folder of FOLDERS) await makeFolder(join(dir, folder));
}

export function readRunConfig(dir: string): Promise<JsonObject> {
  return readJsonObject(join(dir, 'config.json'));
}

/** metrics.jsonl of a run, and the loss curve drawn from it. */
export class MetricsLog {
  private readonly path: string;
  private pending: string[] = [];
  private readonly history: Metrics[] = [];
  private readonly told: Measurement[] = [];

  private constructor(private readonly dir: string) {
    this.path = join(dir, 'metrics.jsonl');
  }

  /** Opens the log for a run that stands at `step`: what a killed run wrote after that is dropped. */
  static async open(dir: string, step: number): Promise<MetricsLog> {
    const log = new MetricsLog(dir);
    const kept: JsonObject[] = [];
    const text = await readFile(log.path, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      try {
        const entry = JSON.parse(line) as Metrics;
        if (!(entry.step <= step)) continue;
        kept.push(entry);
        if (entry.loss !== undefined) log.history.push(entry);
        else log.told.push(entry);
      } catch {
        // The last line of a killed run may be half a line.
      }
    }
    await writeFileAtomic(log.path, kept.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    return log;
  }

  /** Forgets what was written after `step`. */
  async rewind(step: number): Promise<void> {
    await this.flush();
    const log = await MetricsLog.open(this.dir, step);
    this.history.splice(0, this.history.length, ...log.history);
    this.told.splice(0, this.told.length, ...log.told);
  }

  add(metrics: Metrics): void {
    this.history.push(metrics);
    this.pending.push(`${JSON.stringify(metrics)}\n`);
  }

  /** A line beside those of steps. */
  async measured(line: Measurement): Promise<void> {
    this.told.push(line);
    this.pending.push(`${JSON.stringify(line)}\n`);
    await this.flush();
  }

  /** The lines of checkpoints. */
  get measurements(): readonly Measurement[] {
    return this.told;
  }

  /** The lines of steps. */
  get entries(): readonly Metrics[] {
    return this.history;
  }

  async flush(): Promise<void> {
    if (this.pending.length === 0) return;
    const lines = this.pending.join('');
    await appendFile(this.path, lines).catch((error) => {
      throw fileError(error, this.path, 'cannot write');
    });
    this.pending = [];
  }

  async drawLoss(): Promise<void> {
    await writeFileAtomic(join(this.dir, 'loss.svg'), lossCurve(this.history, this.told));
  }
}
