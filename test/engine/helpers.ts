import { expect } from 'vitest';
import { Compiled, type TensorFunction } from '../../src/engine/compile.js';
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

export function maxError(a: TypedArray, b: TypedArray): number {
  expect(a.length).toBe(b.length);
  let scale = 1e-3;
  for (const x of b) scale = Math.max(scale, Math.abs(x));
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]));
  return Number.isNaN(worst) || [...a].some(Number.isNaN) ? Number.POSITIVE_INFINITY : worst / scale;
}

/** Runs a function compiled and eagerly (tfjs cpu) and expects the same. */
export async function expectSame(
  fn: TensorFunction,
  inputs: Record<string, Feed>,
  tolerance = 1e-5,
): Promise<void> {
  const compiled = new Compiled(fn, { engine: 'onnx', threads: 1 });
  const eager = new Compiled(fn, { engine: 'cpu' });
  try {
    const got = await compiled.run(inputs);
    const want = await eager.run(inputs);
    expect(Object.keys(got).sort()).toEqual(Object.keys(want).sort());
    for (const name of Object.keys(want)) {
      expect(maxError(got[name], want[name]), `output ${name}`).toBeLessThan(tolerance);
    }
  } finally {
    await compiled.dispose();
    await eager.dispose();
  }
}
