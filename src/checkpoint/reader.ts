/** Random access to the tensors of one safetensors file: the header at once, each tensor's bytes when asked for. */
import { type FileHandle, open } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { fileError } from '../files/index.js';
import { decodeFloats, isFloat, type TensorData } from './dtypes.js';
import { corrupt, MAX_HEADER_BYTES, parseHeader, type SafetensorsHeader, type TensorInfo } from './header.js';

/** One open safetensors file, or several that an index makes one of (see shards.ts). Close it after use. */
export interface WeightsReader {
  readonly path: string;
  /** The safetensors files behind it: one, or all that an index names. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Reads a tensor; floats of any width come as Float32Array. */
  read(name: string): Promise<TensorData>;
  /** Reads a float tensor into `target`, whose length must be the tensor's number of elements. */
  readFloats(name: string, target: Float32Array): Promise<void>;
  close(): Promise<void>;
}

/** One read call may not exceed 2 GiB; less keeps the other work of the process going. */
const CHUNK = 64 * 2 ** 20;

async function readFully(
  file: FileHandle,
  target: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  for (let at = 0; at < target.length; ) {
    const { bytesRead } = await file.read(target, at, Math.min(CHUNK, target.length - at), position + at);
    if (bytesRead === 0) throw corrupt(path, 'it was cut short while being read');
    at += bytesRead;
  }
}

async function readHeaderOf(file: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const prefix = new Uint8Array(8);
  if (size < 8) throw corrupt(path, `it has only ${size} bytes`);
  await readFully(file, prefix, 0, path);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES) || 8 + Number(length) > size) {
    throw corrupt(path, `its header claims ${length} bytes, the file has ${size}`);
  }
  const text = new Uint8Array(Number(length));
  await readFully(file, text, 8, path);
  return parseHeader(text, size - 8 - text.length, path);
}

async function openToRead(path: string): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    if ((await file.stat()).isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    return file;
  } catch (error) {
    await file?.close();
    throw fileError(error, path, 'cannot read');
  }
}

/**
 * Reads names, shapes and dtypes without the tensors.
 * @throws InputError naming the file and what is wrong with it
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  const file = await openToRead(path);
  try {
    return await readHeaderOf(file, path);
  } finally {
    await file.close();
  }
}

/**
 * Opens one safetensors file.
 * @throws InputError naming the file and what is wrong with it
 */
export async function openSafetensorsFile(path: string): Promise<WeightsReader> {
  const file = await openToRead(path);
  let header: SafetensorsHeader;
  try {
    header = await readHeaderOf(file, path);
  } catch (error) {
    await file.close();
    throw error;
  }
  const { tensors, metadata, dataStart } = header;

  const infoOf = (name: string): TensorInfo => {
    const info = tensors.get(name);
    if (!info) throw new InputError(`no tensor ${name} — ${path} — check which model the file belongs to`);
    return info;
  };
  const bytesOf = async ({ start, end }: TensorInfo): Promise<Uint8Array> => {
    const bytes = new Uint8Array(end - start);
    await readFully(file, bytes, dataStart + start, path);
    return bytes;
  };

  const readFloats = async (name: string, target: Float32Array): Promise<void> => {
    const info = infoOf(name);
    if (!isFloat(info.dtype)) {
      throw new InputError(
        `tensor ${name} is ${info.dtype}, not floating point — ${path} — use weights in F32, F16 or BF16`,
      );
    }
    const elements = info.shape.reduce((a, b) => a * b, 1);
    if (target.length !== elements) {
      throw new RangeError(`tensor ${name} has ${elements} elements, its target ${target.length}`);
    }
    if (info.dtype !== 'F32') return decodeFloats(await bytesOf(info), info.dtype, target);
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    await readFully(file, bytes, dataStart + info.start, path);
  };

  const read = async (name: string): Promise<TensorData> => {
    const info = infoOf(name);
    if (isFloat(info.dtype)) {
      const target = new Float32Array(info.shape.reduce((a, b) => a * b, 1));
      await readFloats(name, target);
      return target;
    }
    switch (info.dtype) {
      case 'I32':
        return new Int32Array((await bytesOf(info)).buffer as ArrayBuffer);
      case 'I64':
        return new BigInt64Array((await bytesOf(info)).buffer as ArrayBuffer);
      case 'U8':
      case 'BOOL':
        return bytesOf(info);
      default:
        throw new InputError(
          `tensor ${name} has dtype ${info.dtype}, which Sumi does not read — ${path} — convert it to F32, F16 or BF16`,
        );
    }
  };

  return { path, files: [path], tensors, metadata, read, readFloats, close: () => file.close() };
}
