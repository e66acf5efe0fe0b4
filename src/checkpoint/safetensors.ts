/**
 * safetensors files (https://github.com/huggingface/safetensors), single or split by an index: the front door of
 * header.ts, reader.ts, shards.ts and writer.ts.
 */
import { InputError } from '../errors.js';
import type { Dtype, TensorData } from './dtypes.js';
import { openSafetensorsFile, type WeightsReader } from './reader.js';
import { openShards } from './shards.js';

export type { Dtype, FloatDtype, TensorData } from './dtypes.js';
export type { SafetensorsHeader, TensorInfo } from './header.js';
export { readSafetensorsHeader, type WeightsReader } from './reader.js';
export { type TensorToWrite, type WriteOptions, writeSafetensors } from './writer.js';

export interface ReadTensor {
  readonly dtype: Dtype;
  readonly shape: number[];
  readonly data: TensorData;
}

/** Why pickles are refused, and the way out. */
export function refusePickle(path: string): InputError {
  return new InputError(
    `a PyTorch pickle, which can run code when opened — ${path} — convert it: in Python, ` +
      'diffusers.DiffusionPipeline.from_pretrained(DIR).save_pretrained(NEW_DIR)',
  );
}

/**
 * Opens weights for lazy reading: a `.safetensors` file or a `.safetensors.index.json`. Close it after use.
 * @throws InputError when the file is missing, damaged or a pickle (`.bin`, `.pt`, `.pth`, `.ckpt`)
 */
export async function openSafetensors(path: string): Promise<WeightsReader> {
  if (/\.(bin|pt|pth|ckpt|pkl)$/i.test(path)) throw refusePickle(path);
  return path.endsWith('.json') ? openShards(path) : openSafetensorsFile(path);
}

/**
 * Reads all tensors of a safetensors file or index.
 * @returns tensors by name (F16, BF16 and F64 become Float32Array; I32, I64, U8 and BOOL keep their width), and
 * the header's strings
 * @throws InputError naming the file and what is wrong with it
 */
export async function readSafetensors(
  path: string,
): Promise<{ tensors: Map<string, ReadTensor>; metadata: Record<string, string> }> {
  const reader = await openSafetensors(path);
  try {
    const tensors = new Map<string, ReadTensor>();
    for (const [name, { dtype, shape }] of reader.tensors) {
      tensors.set(name, { dtype, shape: [...shape], data: await reader.read(name) });
    }
    return { tensors, metadata: { ...reader.metadata } };
  } finally {
    await reader.close();
  }
}
