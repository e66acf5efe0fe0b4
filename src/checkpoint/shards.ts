/**
 * Weights split over several files: `NAME.safetensors.index.json` maps each tensor's name to the file beside it
 * that holds the tensor.
 */
import { basename, dirname, join } from 'node:path';
import { InputError } from '../errors.js';
import type { TensorInfo } from './header.js';
import { readJsonObject } from './json.js';
import { openSafetensorsFile, type WeightsReader } from './reader.js';

/**
 * Opens all files of an index as one.
 * @throws InputError when the index or a file of it is unusable, or a file lacks a tensor that the index promises
 */
export async function openShards(indexPath: string): Promise<WeightsReader> {
  const { weight_map: map } = await readJsonObject(indexPath);
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new InputError(`no weight_map in the index — ${indexPath} — fetch or write the checkpoint again`);
  }
  const fileOf = new Map(Object.entries(map) as [string, unknown][]);
  const readers = new Map<string, WeightsReader>();
  const close = async () => {
    await Promise.all([...readers.values()].map((reader) => reader.close()));
  };
  const readerOf = (name: string): WeightsReader => {
    const reader = readers.get(fileOf.get(name) as string);
    if (!reader) throw new InputError(`no tensor ${name} — ${indexPath} — check which model it belongs to`);
    return reader;
  };
  try {
    const tensors = new Map<string, TensorInfo>();
    for (const [name, file] of fileOf) {
      // A file elsewhere would let an index read whatever its author likes.
      if (typeof file !== 'string' || file !== basename(file) || !file.endsWith('.safetensors')) {
        throw new InputError(
          `the index names ${JSON.stringify(file)}, which is no safetensors file beside it — ${indexPath} — fetch or write the checkpoint again`,
        );
      }
      if (!readers.has(file)) readers.set(file, await openSafetensorsFile(join(dirname(indexPath), file)));
      const info = readers.get(file)!.tensors.get(name);
      if (!info) {
        throw new InputError(
          `${file} lacks the tensor ${name} that the index promises — ${indexPath} — fetch or write the checkpoint again`,
        );
      }
      tensors.set(name, info);
    }
    return {
      path: indexPath,
      files: [...readers.values()].map((reader) => reader.path),
      tensors,
      metadata: Object.assign({}, ...[...readers.values()].map((reader) => reader.metadata)),
      read: async (name) => readerOf(name).read(name),
      readFloats: async (name, target) => readerOf(name).readFloats(name, target),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
