/**
 * The number formats of safetensors files, and fast conversion between them and Float32Array. Files are
 * little-endian, and so is every machine that Node 20 has builds of onnxruntime for.
 */
import { InputError } from '../errors.js';

/** Bytes of one element, by safetensors' dtype name. The order is the reference implementation's (see header.ts). */
export const BYTES_OF = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

export type Dtype = keyof typeof BYTES_OF;
/** Formats that weights can be written in. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';
/** What reading gives: floats of every width become Float32Array, whole numbers keep their width. */
export type TensorData = Float32Array | Int32Array | BigInt64Array | Uint8Array;

export function isDtype(name: unknown): name is Dtype {
  return typeof name === 'string' && Object.hasOwn(BYTES_OF, name);
}

export const isFloat = (dtype: Dtype): boolean => dtype === 'F64' || isFloatDtype(dtype);

function isFloatDtype(dtype: Dtype): dtype is FloatDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** All 65536 half-precision values (IEEE 754 binary16) as float32; a table because it beats arithmetic fourfold. */
let halves: Float32Array | undefined;

function halfTable(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let h = 0; h < 65536; h++) {
    const exponent = (h >> 10) & 31;
    const fraction = h & 1023;
    const magnitude =
      exponent === 31
        ? fraction
          ? Number.NaN
          : Number.POSITIVE_INFINITY
        : exponent === 0
          ? fraction * 2 ** -24
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    halves[h] = h & 0x8000 ? -magnitude : magnitude;
  }
  return halves;
}

/** Half precision (bit patterns) to float32, exactly. */
export function fromF16(source: Uint16Array, target: Float32Array): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i++) target[i] = table[source[i]];
}

/** bfloat16 (bit patterns; the upper half of a float32) to float32, exactly. */
export function fromBF16(source: Uint16Array, target: Float32Array): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) bits[i] = source[i] << 16;
}

/**
 * float32 to half precision, rounded to the nearest, ties to even. Values beyond ±65504 become infinite, as
 * IEEE 754 has it.
 */
export function toF16(source: Float32Array, target: Uint16Array): void {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) {
    const u = bits[i];
    const sign = (u >>> 16) & 0x8000;
    const magnitude = u & 0x7fffffff;
    if (magnitude > 0x7f800000) target[i] = sign | 0x7e00;
    else if (magnitude >= 0x477ff000) target[i] = sign | 0x7c00;
    else if (magnitude >= 0x38800000) {
      // A normal half: rebias the exponent (127 - 15 = 112) and round the 13 bits that go.
      target[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    } else if (magnitude < 0x33000000) target[i] = sign;
    else {
      // Subnormal: the significand counts units of 2^-24.
      const significand = (magnitude & 0x7fffff) | 0x800000;
      const shift = 126 - (magnitude >>> 23);
      const kept = significand >>> shift;
      const rest = significand & ((1 << shift) - 1);
      const half = 1 << (shift - 1);
      target[i] = sign | (rest > half || (rest === half && kept & 1) ? kept + 1 : kept);
    }
  }
}

/** float32 to bfloat16, rounded to the nearest, ties to even; NaN stays NaN. */
export function toBF16(source: Float32Array, target: Uint16Array): void {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) {
    const u = bits[i];
    target[i] = (u & 0x7fffffff) > 0x7f800000 ? (u >>> 16) | 0x40 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
  }
}

/**
 * Encodes floats for a file.
 * @returns the bytes, which share memory with `source` for F32
 * @throws InputError when a finite value is too large for the format; `name` is for its message
 */
export function encodeFloats(source: Float32Array, dtype: FloatDtype, name: string): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  const target = new Uint16Array(source.length);
  const infinity = dtype === 'F16' ? 0x7c00 : 0x7f80;
  (dtype === 'F16' ? toF16 : toBF16)(source, target);
  for (let i = 0; i < target.length; i++) {
    if ((target[i] & 0x7fff) === infinity && Number.isFinite(source[i])) {
      throw new InputError(
        `a weight of ${source[i]} is too large for ${dtype} — tensor ${name} — save it as ${dtype === 'F16' ? 'BF16 or F32' : 'F32'}`,
      );
    }
  }
  return new Uint8Array(target.buffer);
}

/** Decodes the bytes of a file (aligned to their element size) into floats. */
export function decodeFloats(bytes: Uint8Array, dtype: Dtype, target: Float32Array): void {
  const { buffer, byteOffset, byteLength } = bytes;
  if (dtype === 'F16') fromF16(new Uint16Array(buffer, byteOffset, byteLength / 2), target);
  else if (dtype === 'BF16') fromBF16(new Uint16Array(buffer, byteOffset, byteLength / 2), target);
  else if (dtype === 'F64') target.set(new Float64Array(buffer, byteOffset, byteLength / 8));
  else target.set(new Float32Array(buffer, byteOffset, byteLength / 4));
}
