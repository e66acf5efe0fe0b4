/** Convolutions in 8-bit integers against float32. */
import { expect, it } from 'vitest';
import { Compiled } from '../../src/engine/compile.js';
import * as ops from '../../src/engine/ops.js';
import type { Tensor, Tensor1D, Tensor4D } from '../../src/engine/tf.js';
import { feed } from './helpers.js';

type Case = [name: string, fn: (t: Record<string, Tensor>) => Tensor, kernel: number, rms: number];
const of = (t: Record<string, Tensor>) => [t.w as Tensor4D, t.b as Tensor1D] as const;
const cases: Case[] = [
  ['3×3', (t) => ops.conv2d(t.x as Tensor4D, ...of(t), { padding: 1 }), 3, 0.01],
  ['1×1', (t) => ops.conv2d(t.x as Tensor4D, ...of(t)), 1, 0.01],
  ['strides', (t) => ops.conv2d(t.x as Tensor4D, ...of(t), { padding: 1, stride: 2 }), 3, 0.01],
  [
    'padding on one side',
    (t) =>
      ops.conv2d(t.x as Tensor4D, ...of(t), {
        padding: [
          [0, 1],
          [0, 1],
        ],
        stride: 2,
      }),
    3,
    0.01,
  ],
  ['after SiLU', (t) => ops.conv2d(ops.silu(t.x as Tensor4D), ...of(t), { padding: 1 }), 3, 0.01],
  // The first product comes channels-last, the second reads it.
  [
    'one after another',
    (t) => ops.conv2d(ops.conv2d(t.x as Tensor4D, ...of(t), { padding: 1 }), ...of(t)),
    3,
    0.02,
  ],
];

it.each(cases)('%s', async (_, fn, kernel, most) => {
  const constants = { w: feed([24, 24, kernel, kernel], 2), b: feed([24], 3) };
  // Pictures of other sizes of numbers: each has a scale of its own.
  const x = feed([2, 9, 8, 24], 1);
  x.data.subarray(x.data.length / 2).forEach((value, i, half) => {
    half[i] = value * 20;
  });
  const outputs: Float32Array[] = [];
  for (const precision of ['fp32', 'int8'] as const) {
    const compiled = new Compiled((t) => ({ y: fn(t) }), { constants, precision, threads: 1 });
    outputs.push((await compiled.run({ x })).y as Float32Array);
    await compiled.dispose();
  }
  for (const from of [0, outputs[0].length / 2]) {
    const [want, got] = outputs.map((y) => y.subarray(from, from + outputs[0].length / 2));
    const square = (y: Float32Array) => y.reduce((sum, value) => sum + value * value, 0);
    const error = Math.sqrt(square(got.map((value, i) => value - want[i])) / square(want));
    expect(error).toBeLessThan(most);
    expect(error).toBeGreaterThan(1e-5);
  }
});
