/**
 * The header of a safetensors file (https://github.com/huggingface/safetensors#format): eight bytes with the
 * length of a JSON text, the text, then the tensors' bytes without holes.
 */
import { InputError } from '../errors.js';
import { BYTES_OF, type Dtype, isDtype } from './dtypes.js';

/** Where one tensor lies: bytes [start, end) after the header. */
export interface TensorInfo {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Record<string, string>;
  /** Where the tensors' bytes begin in the file. */
  readonly dataStart: number;
}

/** The reference implementation's limit. */
export const MAX_HEADER_BYTES = 100_000_000;

const METADATA = '__metadata__';

/** A refusal of a damaged file, which says what is wrong with it. */
export function corrupt(path: string, cause: string): InputError {
  return new InputError(`not a usable safetensors file: ${cause} — ${path} — fetch or write the file again`);
}

/**
 * Parses and checks the JSON part of a header: every tensor's bytes must match its shape, and together they must
 * fill the file exactly, as the reference implementation demands. (That also catches names given twice.)
 * @param text the JSON bytes
 * @param dataBytes how many bytes follow the header
 * @param path for messages
 * @throws InputError
 */
export function parseHeader(text: Uint8Array, dataBytes: number, path: string): SafetensorsHeader {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    throw corrupt(path, 'its header is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw corrupt(path, 'its header is not a JSON object');
  }
  const tensors = new Map<string, TensorInfo>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(json)) {
    if (name === METADATA) metadata = parseMetadata(entry, path);
    else tensors.set(name, parseEntry(name, entry, path));
  }
  let at = 0;
  for (const [name, { start, end }] of [...tensors].sort(
    ([, a], [, b]) => a.start - b.start || a.end - b.end,
  )) {
    if (start !== at)
      throw corrupt(
        path,
        `tensor ${show(name)} ${start < at ? 'overlaps another' : 'leaves a hole before it'}`,
      );
    at = end;
  }
  if (at > dataBytes)
    throw corrupt(path, `it is cut short (${dataBytes} bytes of tensors where the header tells of ${at})`);
  if (at < dataBytes) throw corrupt(path, `${dataBytes - at} bytes at its end belong to no tensor`);
  return { tensors, metadata, dataStart: 8 + text.length };
}

/** Names come from the file: keep a hostile one from filling the terminal. */
function show(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}

function parseMetadata(entry: unknown, path: string): Record<string, string> {
  if (
    typeof entry !== 'object' ||
    entry === null ||
    Object.values(entry).some((value) => typeof value !== 'string')
  ) {
    throw corrupt(path, `its ${METADATA} is not a table of strings`);
  }
  return { ...(entry as Record<string, string>) };
}

const isCount = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;

function parseEntry(name: string, entry: unknown, path: string): TensorInfo {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (!isDtype(dtype))
    throw corrupt(path, `tensor ${show(name)} has the unknown dtype ${JSON.stringify(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw corrupt(path, `tensor ${show(name)} has no proper shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[1] < offsets[0]) {
    throw corrupt(path, `tensor ${show(name)} has no proper data_offsets`);
  }
  const [start, end] = offsets as [number, number];
  const bytes = shape.reduce((a: number, b: number) => a * b, 1) * BYTES_OF[dtype];
  if (bytes !== end - start) {
    throw corrupt(
      path,
      `tensor ${show(name)} has ${end - start} bytes where ${dtype} [${shape.join(', ')}] takes ${bytes}`,
    );
  }
  return { dtype, shape: shape as number[], start, end };
}

const dtypeOrder = Object.keys(BYTES_OF);

/**
 * Lays tensors out as the reference implementation does: widest dtype first (which keeps every tensor aligned),
 * then by name, with the header padded by spaces to a multiple of eight bytes.
 * @returns the file's first bytes and the order in which the tensors' bytes follow
 */
export function buildHeader(
  tensors: ReadonlyMap<string, { dtype: Dtype; shape: readonly number[] }>,
  metadata: Readonly<Record<string, string>>,
): { bytes: Uint8Array; order: string[] } {
  const order = [...tensors.keys()].sort((a, b) => {
    const byDtype = dtypeOrder.indexOf(tensors.get(b)!.dtype) - dtypeOrder.indexOf(tensors.get(a)!.dtype);
    return byDtype || Buffer.compare(Buffer.from(a), Buffer.from(b));
  });
  const entries: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) entries.push([METADATA, metadata]);
  let at = 0;
  for (const name of order) {
    if (name === METADATA)
      throw new InputError(`a tensor cannot be called ${METADATA} — safetensors — rename it`);
    const { dtype, shape } = tensors.get(name)!;
    const end = at + shape.reduce((a, b) => a * b, 1) * BYTES_OF[dtype];
    entries.push([name, { dtype, shape, data_offsets: [at, end] }]);
    at = end;
  }
  // Written by hand because an object would move names like "0" to the front.
  const json = `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = Buffer.from(json);
  const bytes = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ');
  bytes.writeBigUInt64LE(BigInt(bytes.length - 8), 0);
  text.copy(bytes, 8);
  return { bytes, order };
}
