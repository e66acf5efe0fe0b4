/** Writes safetensors files: streamed, and whole or not at all. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { writeFileAtomically } from '../files/index.js';
import { type Dtype, encodeFloats, type FloatDtype, type TensorData } from './dtypes.js';
import { buildHeader } from './header.js';

/** A tensor to be written; row-major, as everywhere. */
export interface TensorToWrite {
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface WriteOptions {
  /** What floats are stored as (default F32). Whole numbers keep their width: I32, I64, U8. */
  readonly dtype?: FloatDtype;
  /** Strings for the header; `{format: 'pt'}`, which Python libraries look for, if left out. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Elements converted at a time: bounds memory while writing half precision. */
const CHUNK = 4 * 2 ** 20;

function storedDtype(data: TensorData, float: FloatDtype): Dtype {
  if (data instanceof Float32Array) return float;
  if (data instanceof Int32Array) return 'I32';
  return data instanceof BigInt64Array ? 'I64' : 'U8';
}

function* encoded(name: string, data: TensorData, dtype: FloatDtype): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at += CHUNK) {
    const part = data.subarray(at, at + CHUNK);
    yield part instanceof Float32Array
      ? encodeFloats(part, dtype, name)
      : new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  }
}

async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
  }
}

/**
 * Writes tensors to a safetensors file, in the byte order of the reference implementation. The file appears
 * whole or not at all (temporary name, fsync, rename).
 * @returns the file's size and its SHA-256 (hex)
 * @throws InputError when a shape and its data disagree, a value does not fit the dtype, or the place is no good
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorToWrite> | Readonly<Record<string, TensorToWrite>>,
  { dtype = 'F32', metadata = { format: 'pt' } }: WriteOptions = {},
): Promise<{ bytes: number; sha256: string }> {
  const all = tensors instanceof Map ? tensors : new Map(Object.entries(tensors));
  const stored = new Map<string, { dtype: Dtype; shape: readonly number[] }>();
  for (const [name, { shape, data }] of all as ReadonlyMap<string, TensorToWrite>) {
    if (shape.reduce((a, b) => a * b, 1) !== data.length) {
      throw new InputError(
        `tensor ${name} has ${data.length} elements for shape [${shape.join(', ')}] — ${path} — give it its own shape`,
      );
    }
    stored.set(name, { dtype: storedDtype(data, dtype), shape });
  }
  const header = buildHeader(stored, metadata);
  return writeFileAtomically(path, async (file) => {
    const hash = createHash('sha256');
    let bytes = 0;
    const put = async (part: Uint8Array): Promise<void> => {
      hash.update(part);
      bytes += part.length;
      await writeFully(file, part);
    };
    await put(header.bytes);
    for (const name of header.order) {
      for (const part of encoded(name, all.get(name)!.data, dtype)) await put(part);
    }
    return { bytes, sha256: hash.digest('hex') };
  });
}
