/**
 * The whole state of a training run, so that going on gives the bits that not stopping would have given:
 * `state.safetensors` (parameters, EMA, moments) and `state.json` (counters, random state, data order), written
 * as one folder and checked by their SHA-256 when read.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { fileError, removeDirectory, writeDirectoryAtomically } from '../files/index.js';
import { formatJson, type JsonObject, readJsonObject } from './json.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';

const ARRAYS = 'state.safetensors';
const JSON_FILE = 'state.json';
const VERSION = 1;

export interface TrainingState {
  /** Flat float32 vectors by name: `params`, `ema`, `m`, `v`. */
  readonly arrays: Readonly<Record<string, Float32Array>>;
  /** Everything that is not a big array: step, random state, data order, fingerprint of the settings. */
  readonly counters: JsonObject;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const damaged = (dir: string, cause: string): InputError =>
  new InputError(`a damaged training state: ${cause} — ${dir} — go on from an earlier checkpoint`);

/**
 * Saves a training state as a folder, whole or not at all.
 * @throws InputError | RunError when the place is no good or the disk is full
 */
export async function saveState(dir: string, { arrays, counters }: TrainingState): Promise<void> {
  await writeDirectoryAtomically(dir, async (target) => {
    const tensors = Object.fromEntries(
      Object.entries(arrays).map(([name, data]) => [name, { shape: [data.length], data }]),
    );
    const written = await writeSafetensors(join(target, ARRAYS), tensors);
    await writeFile(
      join(target, JSON_FILE),
      formatJson({
        version: VERSION,
        counters,
        checksums: { bytes: written.bytes, arrays: written.sha256, counters: sha256(formatJson(counters)) },
      }),
    );
  });
}

async function readChecked(dir: string): Promise<{ counters: JsonObject; bytes: number; sha256: string }> {
  const content = await readJsonObject(join(dir, JSON_FILE));
  if (content.version !== VERSION) {
    throw new InputError(
      `a training state of version ${JSON.stringify(content.version ?? null)}, not ${VERSION} — ${dir} — use the release of Sumi that wrote it`,
    );
  }
  const { counters, checksums } = content as { counters?: JsonObject; checksums?: JsonObject };
  const { bytes, arrays, counters: expected } = checksums ?? {};
  if (typeof bytes !== 'number' || typeof arrays !== 'string' || !counters)
    throw damaged(dir, `${JSON_FILE} lacks its checksums`);
  if (sha256(formatJson(counters)) !== expected)
    throw damaged(dir, `${JSON_FILE} does not match its checksum`);
  const size = (
    await stat(join(dir, ARRAYS)).catch((error) => {
      throw fileError(error, join(dir, ARRAYS), 'cannot read');
    })
  ).size;
  if (size !== bytes) throw damaged(dir, `${ARRAYS} has ${size} bytes of ${bytes}`);
  return { counters, bytes, sha256: arrays };
}

/**
 * Loads a training state and checks every byte of it.
 * @throws InputError when it is missing, half-written or corrupted
 */
export async function loadState(dir: string): Promise<TrainingState> {
  const { counters, sha256: expected } = await readChecked(dir);
  if ((await sha256File(join(dir, ARRAYS))) !== expected)
    throw damaged(dir, `${ARRAYS} does not match its checksum`);
  const { tensors } = await readSafetensors(join(dir, ARRAYS));
  const arrays = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data as Float32Array]));
  return { arrays, counters };
}

/** Where a run keeps the state of a step. */
export function stateDir(runDir: string, step: number): string {
  return join(runDir, 'checkpoints', `step-${step}`);
}

/** The steps that a run has states of, newest first, whether they are sound or not. */
export async function listStates(runDir: string): Promise<{ step: number; dir: string }[]> {
  const names = await readdir(join(runDir, 'checkpoints')).catch(() => [] as string[]);
  return names
    .flatMap((name) => {
      const step = /^step-(\d+)$/.exec(name)?.[1];
      return step ? [{ step: Number(step), dir: join(runDir, 'checkpoints', name) }] : [];
    })
    .sort((a, b) => b.step - a.step);
}

export interface LatestState {
  readonly step: number;
  readonly dir: string;
  readonly state: TrainingState;
  /** Newer states that could not be used, and why: tell the user. */
  readonly skipped: readonly { readonly dir: string; readonly reason: string }[];
}

/**
 * Loads the newest sound state of a run.
 * @returns null when the run has no states at all
 * @throws InputError when it has some and none is sound
 */
export async function latestState(runDir: string): Promise<LatestState | null> {
  const skipped: { dir: string; reason: string }[] = [];
  for (const { step, dir } of await listStates(runDir)) {
    try {
      return { step, dir, state: await loadState(dir), skipped };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      skipped.push({ dir, reason: error.message });
    }
  }
  if (skipped.length === 0) return null;
  throw new InputError(
    `none of the ${skipped.length} training states can be used (the newest: ${skipped[0].reason}) — ${runDir} — start a new run`,
  );
}

/**
 * Deletes all but the newest `keep` states of a run. States that are visibly broken neither count nor are
 * deleted: the next resume reports them.
 * @param keep at least 1
 * @returns the folders that were deleted
 */
export async function keepNewestStates(runDir: string, keep: number): Promise<string[]> {
  if (!Number.isInteger(keep) || keep < 1)
    throw new RangeError(`keep must be a positive integer, not ${keep}`);
  const removed: string[] = [];
  let kept = 0;
  for (const { dir } of await listStates(runDir)) {
    const sound = await readChecked(dir).then(
      () => true,
      () => false,
    );
    if (!sound) continue;
    if (kept < keep) kept++;
    else {
      await removeDirectory(dir);
      removed.push(dir);
    }
  }
  return removed;
}
