/** Graphs whose batch is left open: what can be, what is refused, and that the result computes the same. */
import { describe, expect, it } from 'vitest';
import { withAnyBatch } from '../../src/engine/any-batch.js';
import { Compiled, graphOf, type TensorFunction } from '../../src/engine/compile.js';
import { lower } from '../../src/engine/lower/index.js';
import { encodeModel, type OnnxModel } from '../../src/engine/onnx.js';
import { silu } from '../../src/engine/ops.js';
import { Session } from '../../src/engine/session.js';
import { type Tensor4D, tf } from '../../src/engine/tf.js';
import { expectSame, feed, maxError } from './helpers.js';

const item = [4, 6, 8];

function build(fn: TensorFunction): (batch: number) => OnnxModel {
  return (batch) =>
    lower(graphOf(fn, { x: { shape: [batch, ...item], dtype: 'float32' } }), { standard: true });
}

const functions: Record<string, TensorFunction> = {
  'reshapes that fold the batch': ({ x }) => {
    const n = x.shape[0];
    const parted = tf.transpose(tf.reshape(x, [n, 24, 2, 4]), [0, 2, 1, 3]);
    const folded = tf.reshape(parted, [n * 2, 24, 4]);
    const scores = tf.softmax(tf.matMul(folded, folded, false, true));
    return { y: tf.reshape(tf.transpose(tf.matMul(scores, folded), [0, 2, 1]), [n, 2, 4, 24]) };
  },
  'a batch that grows': ({ x }) => {
    const n = x.shape[0];
    return { y: tf.concat([x, tf.zeros([n, ...item]), tf.ones([3, ...item])], 0) };
  },
  'sizes of resizing and spreading': ({ x }) => {
    const wide = tf.image.resizeBilinear(x as Tensor4D, [8, 12]);
    return { y: tf.add(wide, tf.broadcastTo(tf.mean(wide, [1, 2], true), wide.shape)) };
  },
  'slices of the batch': ({ x }) => ({ y: tf.slice(x, [1, 0, 0, 0], [x.shape[0] - 1, ...item]) }),
};

describe('a graph for any batch', () => {
  it.each(Object.entries(functions))('computes %s', async (_, fn) => {
    const model = withAnyBatch(build(fn), 'test');
    expect(model.inputs[0].shape).toEqual(['batch', ...item]);
    expect(String(model.outputs[0].shape[0])).toMatch(/^batch/);
    const session = await Session.create(encodeModel(model), { threads: 1, plain: true });
    for (const batch of [2, 5]) {
      const x = feed([batch, ...item], batch);
      const eager = new Compiled(fn, { engine: 'cpu' });
      const want = (await eager.run({ x })).y;
      await eager.dispose();
      const { y } = await session.runWithShapes({ x });
      expect(maxError(y.data, want)).toBeLessThan(1e-5);
    }
    await session.dispose();
  });

  it('names sizes of outputs', () => {
    expect(withAnyBatch(build(functions['a batch that grows']), 'test').outputs[0].shape[0]).toBe(
      'batch * 2 + 3',
    );
    expect(withAnyBatch(build(functions['slices of the batch']), 'test').outputs[0].shape[0]).toBe(
      'batch - 1',
    );
  });

  it.each<[string, TensorFunction, RegExp]>([
    ['a number of it', ({ x }) => ({ y: tf.mul(x, x.shape[0]) }), /constant of Mul depends on it/],
    [
      'one operation for each picture',
      ({ x }) => ({ y: tf.stack(tf.split(tf.slice(x, [0], [x.shape[0] % 5]), x.shape[0] % 5)) }),
      /operations for one batch size, \d+ for another/,
    ],
    [
      'an attribute of it',
      ({ x }) => ({ y: tf.leakyRelu(x, x.shape[0]) }),
      /an attribute of LeakyRelu depends on it/,
    ],
    [
      'a size that shrinks with it',
      ({ x }) => ({ y: tf.slice(x, [0, 0, 0, 0], [20000 - x.shape[0], 1, 1, 1]) }),
      /not in proportion/,
    ],
  ])('refuses %s', (_, fn, message) => {
    expect(() => withAnyBatch(build(fn), 'test')).toThrow(message);
    expect(() => withAnyBatch(build(fn), 'test')).toThrow(/ — test — /);
  });
});

describe('standard operators', () => {
  const fn: TensorFunction = ({ x }) => {
    const rows = tf.reshape(x, [-1, 24, 8]);
    const scores = tf.mul(tf.matMul(rows, rows, false, true), 0.25);
    return { y: tf.matMul(tf.softmax(scores), silu(rows)), z: tf.matMul(rows, scores, true, false) };
  };

  it('leave out ONNX Runtime’s own, which are the default', () => {
    const domains = (standard: boolean) => {
      const graph = graphOf(fn, { x: { shape: [2, ...item], dtype: 'float32' } });
      return new Set(lower(graph, { standard }).nodes.map((n) => n.domain));
    };
    expect([...domains(true)]).toEqual(['']);
    expect(domains(false)).toContain('com.microsoft');
  });

  it('compute the same', async () => {
    const x = feed([2, ...item], 1);
    await expectSame(fn, { x });
    const graph = graphOf(fn, { x });
    const session = await Session.create(encodeModel(lower(graph, { standard: true })), { threads: 1 });
    const compiled = new Compiled(fn, { threads: 1 });
    const [got, want] = [await session.run({ x }), await compiled.run({ x })];
    for (const name of ['y', 'z']) expect(maxError(got[name], want[name])).toBeLessThan(1e-5);
    await session.dispose();
    await compiled.dispose();
  });
});
