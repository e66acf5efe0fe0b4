import { expect } from 'vitest';
import { Compiled, type TensorFunction } from '../../src/engine/compile.js';
import type { TypedArray } from '../../src/engine/graph.js';
import type { Feed } from '../../src/engine/session.js';
import { relativeError } from './feeds.js';

export { feed, ints } from './feeds.js';

export function maxError(a: TypedArray, b: TypedArray): number {
  expect(a.length).toBe(b.length);
  return relativeError(a, b);
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
