/** Checkpoints that lack something, made from sound ones. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../../src/checkpoint/json.js';
import {
  type FloatDtype,
  readSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from '../../src/checkpoint/safetensors.js';

export const WEIGHTS = 'diffusion_pytorch_model.safetensors';

/** Changes a JSON file of a checkpoint. */
export async function editJson(dir: string, file: string, change: (json: JsonObject) => void): Promise<void> {
  const path = join(dir, file);
  const json = JSON.parse(await readFile(path, 'utf8')) as JsonObject;
  change(json);
  await writeFile(path, JSON.stringify(json));
}

/** Changes the weights of a component. */
export async function editWeights(
  dir: string,
  component: string,
  change: (tensors: Map<string, TensorToWrite>) => void,
  dtype?: FloatDtype,
): Promise<void> {
  const path = join(dir, component, WEIGHTS);
  const { tensors } = await readSafetensors(path);
  const changed = new Map<string, TensorToWrite>(tensors);
  change(changed);
  await writeSafetensors(path, changed, { dtype });
}

/** Sets numbers of one tensor. */
export const set =
  (name: string, value: (i: number, old: number) => number) =>
  (tensors: Map<string, TensorToWrite>): void => {
    const { shape, data } = tensors.get(name) as TensorToWrite;
    tensors.set(name, { shape, data: Float32Array.from(data as Float32Array, (old, i) => value(i, old)) });
  };

/** A copy of a checkpoint to break. */
export async function copied(from: string, to: string): Promise<string> {
  await cp(from, to, { recursive: true });
  return to;
}
