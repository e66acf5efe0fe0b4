/** Steps whose pictures are more than memory has room for: one small batch after another, their gradients added up. */
import type { Engine } from '../engine/engines.js';
import type { TypedArray } from '../engine/graph.js';
import type { Feed } from '../engine/session.js';
import { InputError } from '../errors.js';

/** The settings that say how many pictures a step learns from. */
export interface BatchSettings {
  /** Pictures that the network sees at once. */
  readonly batch_size: number;
  /** Batches whose gradients make one step; absent: 1. */
  readonly gradient_accumulation_steps?: number;
}

export const picturesAStep = ({ batch_size, gradient_accumulation_steps = 1 }: BatchSettings): number =>
  batch_size * gradient_accumulation_steps;

/** Engines that hold the state on a device: there a step is one graph, from the batch to the new weights. */
export const isOnDevice = (engine: Engine | undefined): boolean => engine === 'webgpu' || engine === 'cuda';

/** @throws InputError for an engine whose steps are of one batch */
export function requireAccumulation(
  engine: Engine | undefined,
  { gradient_accumulation_steps: batches = 1 }: BatchSettings,
): void {
  if (batches > 1 && isOnDevice(engine))
    throw new InputError(
      `gradients are not added up on the device — --engine ${engine} — leave out --accumulate and give a larger --batch, or use --engine onnx`,
    );
}

/**
 * A batch in equal parts, each a view of its rows.
 * @param batch whose inputs all have the pictures as their first dimension
 */
export function microBatches(batch: Readonly<Record<string, Feed>>, parts: number): Record<string, Feed>[] {
  return Array.from({ length: parts }, (_, i) =>
    Object.fromEntries(
      Object.entries(batch).map(([name, feed]) => {
        const { data, shape } = feed;
        const [rows, each] = [shape[0] / parts, data.length / parts];
        if (!Number.isInteger(rows))
          throw new RangeError(`${name} of ${shape[0]} rows does not divide into ${parts} parts`);
        const part = data.subarray(i * each, (i + 1) * each) as TypedArray;
        return [name, { ...feed, data: part, shape: [rows, ...shape.slice(1)] } as Feed];
      }),
    ),
  );
}

/** Adds the second vector to the first. */
export function addTo(sum: Float32Array, vector: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += vector[i];
}

/** Euclidean length, in double precision. */
export function norm(vector: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i] * vector[i];
  return Math.sqrt(sum);
}

/** Means of what batches report, each over those that have it: a quarter of the process may be missing from a small one. */
export function meanReport(
  reports: readonly Readonly<Record<string, TypedArray>>[],
): Record<string, TypedArray> {
  return Object.fromEntries(
    Object.keys(reports[0]).map((name) => {
      const values = reports.map((report) => Number(report[name][0]));
      const known = values.filter(Number.isFinite);
      return [name, Float32Array.of(known.reduce((a, b) => a + b, 0) / known.length)];
    }),
  );
}
