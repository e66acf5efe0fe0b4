import { describe, expect, it } from 'vitest';
import { graphOf, type TensorFunction } from '../../src/engine/compile.js';
import { lower } from '../../src/engine/lower/index.js';
import { winogradCost } from '../../src/engine/lower/winograd.js';
import { encodeModel } from '../../src/engine/onnx.js';
import * as ops from '../../src/engine/ops.js';
import { Session } from '../../src/engine/session.js';
import { convInfo } from '../../src/engine/shapes.js';
import { type Scalar, type Tensor4D, tf } from '../../src/engine/tf.js';
import { expectSame, feed, maxError } from './helpers.js';

type Padding = Parameters<typeof ops.conv2d>[3] extends { padding?: infer P } | undefined ? P : never;

/** A convolution and both gradients, under a weighting that is not uniform. */
const convolution =
  (padding: Padding, stride = 1): TensorFunction =>
  ({ x, w, b }) => {
    const weights = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.37));
    const loss = (x: tf.Tensor, w: tf.Tensor): Scalar => {
      const y = ops.conv2d(x as Tensor4D, w as Tensor4D, null, { padding, stride });
      return tf.sum(tf.mul(y, tf.tensor(weights(y.size), y.shape)));
    };
    const [dx, dw] = tf.grads(loss as never)([x, w]);
    return {
      y: ops.conv2d(x as Tensor4D, w as Tensor4D, b as tf.Tensor1D, { padding, stride }),
      dx,
      dw,
    };
  };

const inputs = (n: number, h: number, w: number, ci: number, co: number) => ({
  x: feed([n, h, w, ci], 1),
  w: feed([co, ci, 3, 3], 2),
  b: feed([co], 3),
});

const products = (fn: TensorFunction, given: ReturnType<typeof inputs>, standard = false) =>
  lower(graphOf(fn, given), { standard }).nodes.filter(({ op }) => op === 'Conv').length;

async function outputs(fn: TensorFunction, given: ReturnType<typeof inputs>, standard: boolean) {
  const session = await Session.create(encodeModel(lower(graphOf(fn, given), { standard })));
  const made = await session.run(given);
  await session.dispose();
  return made;
}

describe('convolutions by Winograd', () => {
  const cases: [string, Padding, [number, number, number, number, number]][] = [
    ['the size of the input', 1, [16, 8, 8, 48, 64]],
    ['sizes that tiles of four do not divide', 1, [20, 7, 10, 64, 48]],
    ['no padding', 0, [20, 10, 9, 48, 48]],
    [
      'padding on one side',
      [
        [0, 2],
        [2, 1],
      ],
      [20, 8, 8, 48, 48],
    ],
    ['one tile', 1, [64, 4, 3, 64, 64]],
  ];
  for (const [name, padding, shape] of cases) {
    it(`are convolutions, with their gradients: ${name}`, async () => {
      const fn = convolution(padding);
      const given = inputs(...shape);
      expect(products(fn, given)).toBe(0);
      // The standard's convolutions, which other tests compare with tfjs.
      const [made, direct] = [await outputs(fn, given, false), await outputs(fn, given, true)];
      for (const key of ['y', 'dx', 'dw']) expect(maxError(made[key], direct[key])).toBeLessThan(4e-6);
    });
  }

  it('make the gradient of a filter with strides, not the convolution and its input', async () => {
    for (const padding of [
      1,
      [
        [0, 1],
        [0, 1],
      ],
    ] as Padding[]) {
      const fn = convolution(padding, 2);
      const given = inputs(8, 18, 16, 48, 32);
      const strided = lower(graphOf(fn, given)).nodes;
      expect(strided.filter(({ op }) => op === 'Conv').length).toBe(1);
      expect(strided.filter(({ op }) => op === 'Slice').length).toBe(0);
      const [made, direct] = [await outputs(fn, given, false), await outputs(fn, given, true)];
      for (const key of ['y', 'dx', 'dw']) expect(maxError(made[key], direct[key])).toBeLessThan(4e-6);
    }
  });

  it('are what tfjs computes', () => expectSame(convolution(1), inputs(4, 8, 8, 48, 32), 1e-5));

  it('are left alone in files for other programs, with strides, and where they do not pay', () => {
    const given = inputs(16, 8, 8, 48, 64);
    expect(products(convolution(1), given, true)).toBe(2);
    expect(products(convolution(1, 2), given)).toBe(1);
    expect(products(convolution(1), inputs(16, 20, 20, 2, 3))).toBe(2);
  });

  it('cost more as rows grow longer and less as there are more channels and pictures', () => {
    const cost = (n: number, side: number, channels: number) =>
      winogradCost(
        convInfo([n, side, side, channels], [3, 3, channels, channels], {
          strides: 1,
          pad: 'same',
          dilations: 1,
        }),
      );
    expect(cost(16, 64, 64)).toBeGreaterThan(cost(16, 16, 64));
    expect(cost(16, 16, 16)).toBeGreaterThan(cost(16, 16, 64));
    expect(cost(1, 8, 64)).toBeGreaterThan(cost(16, 8, 64));
  });
});
