/** Weights between safetensors files and the flat parameter vector that models compute with (engine/params.ts). */
import { sizeOf } from '../engine/graph.js';
import { countParams, offsetsOf, type ParamSpec } from '../engine/params.js';
import { InputError } from '../errors.js';
import type { FloatDtype } from './dtypes.js';
import { openSafetensors, type WeightsReader } from './safetensors.js';
import { type TensorToWrite, type WriteOptions, writeSafetensors } from './writer.js';

/** "a, b, c and 4 more" */
export function some(names: readonly string[]): string {
  return names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
}

/**
 * Attention layers had other names before diffusers 0.18, and old checkpoints (google/ddpm-*) still carry them; those of
 * NCSN++ (google/ncsnpp-*) carry the frequencies of Fourier features twice, under this name too.
 */
const oldNames: readonly [RegExp, string][] = [
  [/^time_proj\.W$/, 'time_proj.weight'],
  [/(attentions\.\d+)\.query\./, '$1.to_q.'],
  [/(attentions\.\d+)\.key\./, '$1.to_k.'],
  [/(attentions\.\d+)\.value\./, '$1.to_v.'],
  [/(attentions\.\d+)\.proj_attn\./, '$1.to_out.0.'],
];

/** The name that a parameter has today. */
export function currentName(name: string): string {
  for (const [pattern, replacement] of oldNames) {
    if (pattern.test(name)) return name.replace(pattern, replacement);
  }
  return name;
}

/** Linear layers were 1×1 convolutions once: [O, I, 1, 1] holds the same numbers in the same order as [O, I]. */
export function sameLayout(stored: readonly number[], wanted: readonly number[]): boolean {
  const trimmed =
    stored.length === 4 && wanted.length === 2 && stored[2] * stored[3] === 1 ? 2 : stored.length;
  return trimmed === wanted.length && wanted.every((size, i) => size === stored[i]);
}

function checkFit(
  specs: readonly ParamSpec[],
  sources: ReadonlyMap<string, { reader: WeightsReader; stored: string }>,
  where: string,
): void {
  const wanted = new Set(specs.map((spec) => spec.name));
  const missing = specs.filter((spec) => !sources.has(spec.name)).map((spec) => spec.name);
  const extra = [...sources.keys()].filter((name) => !wanted.has(name));
  const misshapen = specs.flatMap(({ name, shape }) => {
    const source = sources.get(name);
    const stored = source?.reader.tensors.get(source.stored)?.shape;
    return stored && !sameLayout(stored, shape)
      ? [`${name} [${stored.join(', ')}] not [${shape.join(', ')}]`]
      : [];
  });
  const faults = [
    ['missing', missing],
    ['extra', extra],
    ['of another shape', misshapen],
  ] as const;
  const found = faults.filter(([, names]) => names.length > 0);
  if (found.length === 0) return;
  const text = found.map(([fault, names]) => `${names.length} ${fault} (${some(names)})`).join(', ');
  throw new InputError(
    `the weights do not fit the model: ${text} — ${where} — use the config.json that belongs to these weights`,
  );
}

function isFiniteArray(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

/**
 * Loads a model's weights into one flat vector.
 * @param specs the model's parameters in order
 * @param nameOf the spec's name of a stored tensor; null for a tensor that is none of the model's
 * @param files a `.safetensors` file, a `.safetensors.index.json`, or several that together hold the model
 * @returns float32, length `countParams(specs)`, in the order of `specs`
 * @throws InputError naming missing, extra and misshapen tensors, or those that hold NaN or infinity (three of
 * each by name, the rest counted), or saying what is wrong with a file
 */
export async function loadParams(
  specs: readonly ParamSpec[],
  files: string | readonly string[],
  nameOf: (stored: string) => string | null = currentName,
): Promise<Float32Array> {
  const paths = typeof files === 'string' ? [files] : files;
  const readers: WeightsReader[] = [];
  try {
    const sources = new Map<string, { reader: WeightsReader; stored: string }>();
    for (const path of paths) {
      const reader = await openSafetensors(path);
      readers.push(reader);
      for (const stored of reader.tensors.keys()) {
        const name = nameOf(stored);
        if (name !== null) sources.set(name, { reader, stored });
      }
    }
    const where = paths.join(', ');
    checkFit(specs, sources, where);
    const flat = new Float32Array(countParams(specs));
    const offsets = offsetsOf(specs);
    const notFinite: string[] = [];
    for (const [i, { name, shape }] of specs.entries()) {
      const view = flat.subarray(offsets[i], offsets[i] + sizeOf(shape));
      const { reader, stored } = sources.get(name)!;
      await reader.readFloats(stored, view);
      if (!isFiniteArray(view)) notFinite.push(name);
    }
    if (notFinite.length > 0) {
      throw new InputError(
        `NaN or infinite weights in ${notFinite.length} of ${specs.length} tensors (${some(notFinite)}) — ${where} — use an earlier checkpoint; the training that wrote this one diverged`,
      );
    }
    return flat;
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

/** A flat vector as the named tensors that a file holds, without copying. */
export function namedTensors(specs: readonly ParamSpec[], flat: Float32Array): Map<string, TensorToWrite> {
  if (flat.length !== countParams(specs)) {
    throw new RangeError(`${flat.length} numbers for a model of ${countParams(specs)} parameters`);
  }
  const offsets = offsetsOf(specs);
  return new Map(
    specs.map(({ name, shape }, i) => [
      name,
      { shape, data: flat.subarray(offsets[i], offsets[i] + sizeOf(shape)) },
    ]),
  );
}

/**
 * Writes a model's weights under diffusers' names; the file appears whole or not at all.
 * @param flat length `countParams(specs)`, in the order of `specs`
 * @throws InputError when a weight does not fit the dtype or the place is no good
 */
export async function saveParams(
  specs: readonly ParamSpec[],
  flat: Float32Array,
  path: string,
  dtype: FloatDtype = 'F32',
  metadata?: WriteOptions['metadata'],
): Promise<void> {
  await writeSafetensors(path, namedTensors(specs, flat), { dtype, metadata });
}
