/** Inputs for tests and checks, and how far results are apart. */
import type { TypedArray } from '../../src/engine/graph.js';
import type { Feed } from '../../src/engine/session.js';

/** Seeded numbers in ±1 for a shape; a plain LCG is enough for test data. */
export function feed(shape: number[], seed: number, scale = 1): Feed {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const n = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = (state / 2 ** 31 - 1) * scale;
  }
  return { shape, dtype: 'float32', data };
}

export function ints(shape: number[], values: number[]): Feed {
  return { shape, dtype: 'int32', data: Int32Array.from(values) };
}

/** The largest difference, relative to the largest element of `b`; infinite for NaN. */
export function relativeError(a: TypedArray, b: TypedArray): number {
  let scale = 1e-3;
  for (const x of b) scale = Math.max(scale, Math.abs(x));
  let worst = 0;
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return worst / scale;
}
