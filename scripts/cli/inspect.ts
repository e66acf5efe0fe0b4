/** Finds out what a path is and describes it. */
import { join } from 'node:path';
import {
  type CheckpointDescription,
  describeCheckpoint,
  describeRun,
  describeWeights,
  isRun,
  type RunDescription,
  type WeightsDescription,
} from '../../src/checkpoint/describe.js';
import type { JsonObject } from '../../src/checkpoint/json.js';
import { loadState } from '../../src/checkpoint/state.js';
import { InputError } from '../../src/errors.js';
import { isDirectory, isFile, settledDirectory } from '../../src/files/index.js';

export interface PictureDescription {
  readonly kind: 'picture';
  readonly path: string;
  /** Model, seed, scheduler, steps, label, guidance: what drew the picture. */
  readonly recipe: JsonObject;
}

export interface StateDescription {
  readonly kind: 'state';
  readonly path: string;
  /** Length of each vector. */
  readonly arrays: Readonly<Record<string, number>>;
  readonly counters: JsonObject;
}

export type Inspection =
  | CheckpointDescription
  | WeightsDescription
  | RunDescription
  | PictureDescription
  | StateDescription;

async function describePicture(path: string): Promise<PictureDescription> {
  const { readRecipe } = await import('../../src/image/encode.js');
  const recipe = await readRecipe(path);
  if (!recipe) {
    throw new InputError(`a picture without a recipe — ${path} — only PNG files made by Sumi carry one`);
  }
  return { kind: 'picture', path, recipe };
}

/** Reads and checks the whole state: whether it is sound is the first thing to know about it. */
async function describeState(path: string): Promise<StateDescription> {
  const { arrays, counters } = await loadState(path);
  const lengths = Object.fromEntries(Object.entries(arrays).map(([name, data]) => [name, data.length]));
  return { kind: 'state', path, arrays: lengths, counters };
}

/**
 * Describes a checkpoint folder, a run folder, a training state, a weights file or a picture.
 * @throws InputError when the path is none of these, or is damaged
 */
export async function inspectPath(path: string): Promise<Inspection> {
  const dir = await settledDirectory(path);
  if (await isDirectory(dir)) {
    if (await isFile(join(dir, 'state.json'))) return describeState(dir);
    return (await isRun(dir)) ? describeRun(dir) : describeCheckpoint(path);
  }
  if (!(await isFile(path))) throw new InputError(`no such file or folder — ${path} — check the path`);
  if (/\.png$/i.test(path)) return describePicture(path);
  if (/\.(safetensors|safetensors\.index(\.\w+)?\.json|bin|pt|pth|ckpt)$/i.test(path))
    return describeWeights(path);
  throw new InputError(
    `neither weights nor a picture of Sumi's — ${path} — name a .safetensors or .png file, or a folder`,
  );
}
