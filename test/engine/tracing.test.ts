import { describe, expect, it } from 'vitest';
import { Compiled, graphOf } from '../../src/engine/compile.js';
import { requireEngine, useEagerBackend, whyNot } from '../../src/engine/engines.js';
import { type Tensor, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import { feed } from './helpers.js';

const x = { x: { shape: [2, 3], dtype: 'float32' as const } };
const ops = (f: (x: Tensor) => Tensor, spec = x) =>
  graphOf((i) => ({ y: f(i.x) }), spec).nodes.map((n) => n.op);

describe('what cannot be compiled', () => {
  it('names the operation and the line of the code that called it', () => {
    expect(() => graphOf((i) => ({ y: tf.cumsum(i.x) }), x)).toThrow(
      /operation Cumsum cannot be compiled — .*tracing\.test\.ts:\d+/,
    );
  });

  it('says so when a value is read', () => {
    expect(() => graphOf((i) => ({ y: i.x.dataSync()[0] > 0 ? i.x : tf.neg(i.x) }), x)).toThrow(
      /value was read while tracing — .*tracing\.test\.ts:\d+/,
    );
  });

  it('says where shapes do not fit', () => {
    expect(() => graphOf((i) => ({ y: tf.add(i.x, tf.zeros([4])) }), x)).toThrow(/4/);
  });

  it('says so when a tensor from outside is used: of another trace, or an eager one', async () => {
    let kept: Tensor | undefined;
    graphOf((i) => {
      kept = tf.keep(tf.neg(i.x));
      return { y: i.x };
    }, x);
    await tf.setBackend('cpu');
    const eager = tf.scalar(2);
    for (const outside of [kept as unknown as Tensor, eager]) {
      expect(() => graphOf((i) => ({ y: tf.add(i.x, outside) }), x)).toThrow(
        /a tensor from outside the compiled function was used in it — .*tracing\.test\.ts:\d+.* — pass it in/,
      );
    }
    // It is not harmed.
    expect(eager.dataSync()[0]).toBe(2);
    eager.dispose();
  });

  it('leaves the backend as it was', async () => {
    await tf.setBackend('cpu');
    expect(() => graphOf((i) => ({ y: tf.cumsum(i.x) }), x)).toThrow();
    expect(tf.getBackend()).toBe('cpu');
  });
});

describe('simplification', () => {
  it('drops what does nothing', () => {
    expect(ops((t) => tf.add(tf.mul(tf.reshape(t, [2, 3]), 1), 0))).toEqual([]);
    expect(ops((t) => tf.transpose(t, [0, 1]))).toEqual([]);
    expect(
      ops((t) =>
        tf.pad(t, [
          [0, 0],
          [0, 0],
        ]),
      ),
    ).toEqual([]);
  });

  it('merges equal computations', () => {
    expect(ops((t) => tf.add(tf.exp(t), tf.exp(t)))).toEqual(['Exp', 'Add']);
    expect(ops((t) => tf.add(tf.mul(t, 2), tf.mul(t, 2)))).toEqual(['Multiply', 'Add']);
  });

  it('joins reshapes, and computes on constants', () => {
    expect(ops((t) => tf.reshape(tf.reshape(t, [6]), [3, 2]))).toEqual(['Reshape']);
    expect(ops((t) => tf.mul(t, tf.sqrt(tf.scalar(4))))).toEqual(['Multiply']);
  });

  it('folds a scale into a matrix product and a bias into a convolution', () => {
    expect(ops((t) => tf.mul(tf.matMul(t, t, false, true), 0.5))).toEqual(['BatchMatMul']);
    const picture = { x: { shape: [1, 4, 4, 2], dtype: 'float32' as const } };
    const convolution = (t: Tensor) =>
      tf.add(tf.conv2d(t as never, tf.ones([3, 3, 2, 5]), 1, 'same'), tf.ones([5]));
    expect(ops(convolution, picture)).toEqual(['Conv2D']);
  });

  it('does not fold a scale into a product that is used elsewhere', () => {
    const f = (t: Tensor) => {
      const p = tf.matMul(t, t, false, true);
      return tf.add(tf.mul(p, 0.5), p);
    };
    expect(ops(f)).toEqual(['BatchMatMul', 'Multiply', 'Add']);
  });

  it('spreads the gradient of a sum only where it must', () => {
    const f = (t: Tensor) => tf.grad((u: Tensor) => tf.sum(tf.square(u)))(t);
    expect(ops(f)).not.toContain('BroadcastTo');
  });
});

describe('Compiled', () => {
  it('builds once for equal shapes and again for others', async () => {
    let builds = 0;
    const fn = new Compiled((i) => ({ y: tf.square(i.x) }), { onBuild: () => builds++ });
    await fn.run({ x: feed([2, 3], 1) });
    await fn.run({ x: feed([2, 3], 2) });
    expect(builds).toBe(1);
    const { y } = await fn.run({ x: feed([4], 3) });
    expect(builds).toBe(2);
    expect(y.length).toBe(4);
    await fn.dispose();
  });

  it('writes into the arrays that it is given', async () => {
    const fn = new Compiled((i) => ({ y: tf.mul(i.x, 2) }));
    const input = feed([8], 1);
    const y = new Float32Array(8);
    await fn.run({ x: input }, { y: { data: y, shape: [8], dtype: 'float32' } });
    expect(Array.from(y)).toEqual(Array.from(input.data, (v) => Math.fround(v * 2)));
    await fn.dispose();
  });

  it('refuses data that do not fill the shape', async () => {
    const fn = new Compiled((i) => ({ y: i.x }));
    await expect(fn.run({ x: { ...feed([4], 1), shape: [5] } })).rejects.toThrow(/4 elements.*wants 5/);
  });

  it('frees its tensors on an eager engine', async () => {
    const fn = new Compiled((i) => ({ y: tf.mul(i.x, i.w) }), {
      engine: 'cpu',
      constants: { w: feed([4], 2) },
    });
    await fn.run({ x: feed([4], 1) });
    const before = tf.memory().numTensors;
    for (let k = 0; k < 5; k++) await fn.run({ x: feed([4], k) });
    expect(tf.memory().numTensors).toBe(before);
    await fn.dispose();
    expect(tf.memory().numTensors).toBe(before - 1);
  });
});

describe('engines', () => {
  it('say what is missing and what to install', async () => {
    expect(whyNot('onnx')).toBeUndefined();
    await expect(useEagerBackend('tensorflow')).rejects.toThrow(
      /engine tensorflow — .*npm i @tensorflow\/tfjs-node-gpu/,
    );
    const cuda = whyNot('cuda');
    if (cuda) expect(() => requireEngine('cuda')).toThrow(InputError);
  });
});
