/** Runs an exported file as any program would, and compares it with Sumi's own run of the network. */
import { Compiled } from '../engine/compile.js';
import type { TypedArray } from '../engine/graph.js';
import { permuteData } from '../engine/lower/context.js';
import { type Feed, type RawFeed, Session } from '../engine/session.js';
import { RunError } from '../errors.js';
import { Random } from '../random.js';
import type { FileInput, GraphFile } from './graphs.js';

/** How far an output may be off: times the largest number of the output where that is above 1. */
export const TOLERANCE = 1e-4;

/** Batches that a file is tried with. */
export const CHECKED_BATCHES = [1, 3] as const;

export interface Difference {
  readonly batch: number;
  /** Largest absolute difference of an output. */
  readonly maxAbsDifference: number;
  /** Largest magnitude of an output, as Sumi computes it. */
  readonly largest: number;
}

/** One thing to try: inputs as a file takes them and as `GraphFile.fn` does. */
interface Trial {
  readonly outside: Readonly<Record<string, RawFeed>>;
  readonly inside: Readonly<Record<string, Feed>>;
}

function trial(file: GraphFile, batch: number, seed: number): Trial {
  const outside: Record<string, RawFeed> = {};
  const inside: Record<string, Feed> = {};
  for (const [name, input] of Object.entries(file.inputs)) {
    const values = input.example(batch, new Random(seed, 'export', name, batch));
    [outside[name], inside[name]] = feeds(input, values, batch);
  }
  return { outside, inside };
}

function feeds({ shape: own, dtype }: FileInput, values: Float32Array, batch: number): [RawFeed, Feed] {
  const shape = [batch, ...own];
  if (dtype === 'int64') {
    const wide = BigInt64Array.from(values, (v) => BigInt(v));
    return [
      { shape, dtype, data: wide },
      { shape, dtype: 'int32', data: Int32Array.from(values) },
    ];
  }
  const outer: Feed = { shape, dtype, data: values };
  if (own.length !== 3) return [outer, outer];
  const [c, h, w] = own;
  return [outer, { shape: [batch, h, w, c], dtype, data: permuteData(values, shape, [0, 2, 3, 1]) }];
}

/** Sumi's own result; pictures channels-first. */
async function expected(compiled: Compiled, { inside }: Trial, dims: readonly number[]): Promise<TypedArray> {
  const { output } = await compiled.run(inside);
  if (dims.length !== 4) return output;
  const [n, c, h, w] = dims;
  return permuteData(output, [n, h, w, c], [0, 3, 1, 2]);
}

function difference(a: TypedArray, b: TypedArray, batch: number): Difference {
  let worst = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    const off = Math.abs(a[i] - b[i]);
    if (!(off <= worst)) worst = Number.isNaN(off) ? Number.POSITIVE_INFINITY : off;
    largest = Math.max(largest, Math.abs(b[i]));
  }
  return { batch, maxAbsDifference: worst, largest };
}

export interface CheckOptions {
  readonly threads?: number;
  readonly seed?: number;
}

/** What a file computed for a trial. */
export type FileRun = (
  inputs: Readonly<Record<string, RawFeed>>,
) => Promise<Readonly<Record<string, { readonly data: TypedArray; readonly dims: readonly number[] }>>>;

/**
 * Runs a file on random inputs, in batches of several sizes, and Sumi's network on the same.
 * @param run runs the file in some runtime
 */
export async function compareFile(
  run: FileRun,
  file: GraphFile,
  { threads, seed = 0 }: CheckOptions = {},
): Promise<Difference[]> {
  const fn = file.fn;
  const compiled = new Compiled((inputs) => ({ output: fn(inputs) }), {
    name: `${file.name}, to compare with`,
    constants: file.constants,
    threads,
  });
  try {
    const found: Difference[] = [];
    for (const batch of CHECKED_BATCHES) {
      const tried = trial(file, batch, seed);
      const { data, dims } = (await run(tried.outside))[file.output];
      found.push(difference(data, await expected(compiled, tried, dims), batch));
    }
    return found;
  } finally {
    await compiled.dispose();
  }
}

/** Opens a file, by its path or bytes, in ONNX Runtime with its usual settings. */
export async function openFile(
  model: string | Uint8Array,
  threads?: number,
): Promise<{ run: FileRun; dispose: () => Promise<void> }> {
  const session = await Session.create(model, { threads, plain: true });
  return { run: (inputs) => session.runWithShapes(inputs), dispose: () => session.dispose() };
}

/** @throws RunError when a file is further from Sumi's own results than `tolerance` allows */
export function requireClose(
  differences: readonly Difference[],
  name: string,
  tolerance: number = TOLERANCE,
): void {
  const off = differences.find((d) => !(d.maxAbsDifference <= tolerance * Math.max(1, d.largest)));
  if (!off) return;
  throw new RunError(
    `the file computes something else: off by ${off.maxAbsDifference.toPrecision(2)} in a batch of ${off.batch}, ${tolerance} is allowed — ${name} — nothing was written; use the model with Sumi itself, and report this`,
  );
}
