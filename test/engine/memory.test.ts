import { afterEach, describe, expect, it, vi } from 'vitest';
import { Compiled, graphOf } from '../../src/engine/compile.js';
import { peakBytes } from '../../src/engine/memory.js';
import { tf } from '../../src/engine/tf.js';
import { RunError } from '../../src/errors.js';

const x = { shape: [256], dtype: 'float32' as const };

describe('memory', () => {
  afterEach(() => vi.restoreAllMocks());

  it('counts what is alive at one time, not what was made', () => {
    const chain = graphOf(({ a }) => ({ y: tf.sum(tf.exp(tf.sin(tf.exp(tf.sin(a))))) }), { a: x });
    // The input, the value being read and the value being made, and the scalar result.
    expect(peakBytes(chain)).toBe(3 * 1024 + 4);
    const wide = graphOf(
      ({ a }) => {
        const parts = [tf.sin(a), tf.cos(a), tf.exp(a)];
        return { y: tf.sum(tf.mul(tf.mul(parts[0], parts[1]), parts[2])) };
      },
      { a: x },
    );
    expect(peakBytes(wide)).toBe(5 * 1024 + 4);
  });

  it('refuses before it builds what cannot fit', async () => {
    vi.spyOn(process, 'availableMemory').mockReturnValue(4096);
    const compiled = new Compiled(({ a }) => ({ y: tf.exp(tf.sin(a)) }), { name: 'too large' });
    const run = compiled.run({ a: { ...x, data: new Float32Array(256) } });
    await expect(run).rejects.toThrow(RunError);
    await expect(run).rejects.toThrow(/at least .* are needed and .* are free — too large — /);
    vi.restoreAllMocks();
    expect((await compiled.run({ a: { ...x, data: new Float32Array(256) } })).y[0]).toBe(1);
    await compiled.dispose();
  });
});
