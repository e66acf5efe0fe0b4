import { describe, expect, it } from 'vitest';
import { graphOf, type TensorFunction } from '../../src/engine/compile.js';
import { lower } from '../../src/engine/lower/index.js';
import { encodeModel } from '../../src/engine/onnx.js';
import { conv2d, linear } from '../../src/engine/ops.js';
import { Session } from '../../src/engine/session.js';
import type { Tensor1D, Tensor2D, Tensor4D } from '../../src/engine/tf.js';
import { tf } from '../../src/engine/tf.js';
import { feed } from './helpers.js';

describe('weights beside the model', () => {
  const fn: TensorFunction = ({ x, kernel, matrix, bias }) => {
    const h = conv2d(x as Tensor4D, kernel as Tensor4D, null, { padding: 1 });
    return { y: linear(tf.reshape(h, [-1, 16]), matrix as Tensor2D, bias as Tensor1D) };
  };
  const constants = { kernel: feed([16, 8, 3, 3], 2), matrix: feed([24, 16], 3), bias: feed([24], 4) };
  const x = feed([1, 5, 4, 8], 1);

  it('give the same numbers as weights within', async () => {
    const model = lower(graphOf(fn, { x }, { constants }));
    const [within, beside] = [encodeModel(model), encodeModel(model, { largest: 100 })];
    expect(within.external).toEqual([]);
    expect(beside.external.length).toBe(2);
    expect(beside.bytes.length).toBeLessThan(within.bytes.length / 2);
    const runs = [within, beside].map(async (encoded) => {
      const session = await Session.create(encoded, { threads: 1 });
      const { y } = await session.run({ x });
      await session.dispose();
      return y;
    });
    const [a, b] = await Promise.all(runs);
    expect(b).toEqual(a);
  });
});
