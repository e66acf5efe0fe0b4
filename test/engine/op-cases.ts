/** Each operation once or more, with inputs: what every way of running a function is checked with. */
import type { TensorFunction } from '../../src/engine/compile.js';
import * as ops from '../../src/engine/ops.js';
import type { Feed } from '../../src/engine/session.js';
import {
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tf,
} from '../../src/engine/tf.js';
import { activation } from '../../src/unet/activations.js';
import { firDownsample2x, firUpsample2x } from '../../src/unet/resample.js';
import { feed, ints } from './feeds.js';

/** The value of `f` and its gradients with respect to all float inputs, under a fixed non-uniform weighting. */
export function withGradients(f: (x: Record<string, Tensor>) => Tensor): TensorFunction {
  return (inputs) => {
    const names = Object.keys(inputs).filter((n) => inputs[n].dtype === 'float32');
    const y = f(inputs);
    const weighted = (...xs: Tensor[]) => {
      const out = f({ ...inputs, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) });
      const size = out.size;
      const weights = tf.tensor(
        Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.37)),
        out.shape,
      );
      return tf.sum(tf.mul(out, weights)) as tf.Scalar;
    };
    const grads = tf.grads(weighted as never)(names.map((n) => inputs[n]));
    return { y, ...Object.fromEntries(names.map((n, i) => [`d_${n}`, grads[i]])) };
  };
}

export type Case = [name: string, f: (x: Record<string, Tensor>) => Tensor, inputs: Record<string, Feed>];

const positive = (shape: number[], seed: number): Feed => {
  const f = feed(shape, seed);
  return { ...f, data: (f.data as Float32Array).map((x) => Math.abs(x) + 0.3) };
};

const unary: [string, (x: Tensor) => Tensor][] = [
  ['abs', tf.abs],
  ['cos', tf.cos],
  ['erf', tf.erf],
  ['exp', tf.exp],
  ['log', tf.log],
  ['neg', tf.neg],
  ['reciprocal', tf.reciprocal],
  ['relu', tf.relu],
  ['rsqrt', tf.rsqrt],
  ['sigmoid', tf.sigmoid],
  ['sin', tf.sin],
  ['softplus', tf.softplus],
  ['sqrt', tf.sqrt],
  ['square', tf.square],
  ['tanh', tf.tanh],
  ['elu', tf.elu],
  ['log1p', tf.log1p],
  ['relu6', tf.relu6],
  ['leakyRelu', (x) => tf.leakyRelu(x, 0.1)],
  ['clip', (x) => tf.clipByValue(x, 0.4, 0.8)],
  ['softmax', (x) => tf.softmax(x)],
  ['logSoftmax', (x) => tf.logSoftmax(x)],
  ['floor', tf.floor],
  ['ceil', tf.ceil],
  ['round', tf.round],
  ['sign', tf.sign],
  ['step', (x) => tf.step(tf.sub(x, 0.5))],
  ['silu', ops.silu],
];
const binary: [string, (a: Tensor, b: Tensor) => Tensor][] = [
  ['add', tf.add],
  ['sub', tf.sub],
  ['mul', tf.mul],
  ['div', tf.div],
  ['maximum', tf.maximum],
  ['minimum', tf.minimum],
  ['pow', tf.pow],
  ['squaredDifference', tf.squaredDifference],
];

const operations: Case[] = [
  ...unary.map(([name, f]): Case => [name, ({ x }) => f(x), { x: positive([2, 3, 5], 1) }]),
  ...binary.flatMap(([name, f]): Case[] => [
    [name, ({ a, b }) => f(a, b), { a: positive([2, 3, 4, 5], 2), b: positive([2, 3, 4, 5], 3) }],
    [`${name}, broadcast`, ({ a, b }) => f(a, b), { a: positive([2, 3, 1, 5], 2), b: positive([4, 1], 3) }],
    [`${name}, scalar`, ({ a }) => f(a, tf.scalar(1.7)), { a: positive([3, 4], 2) }],
  ]),
  [
    'comparisons',
    ({ a, b }) =>
      tf.add(
        tf.add(tf.cast(tf.greater(a, b), 'float32'), tf.cast(tf.lessEqual(a, 0.2), 'float32')),
        tf.cast(tf.logicalNot(tf.notEqual(a, b)), 'float32'),
      ),
    { a: feed([3, 4], 5), b: feed([4], 6) },
  ],
  [
    'where',
    ({ a, b, c }) => tf.where(tf.greater(c, 0), a, b),
    { c: ints([3, 4], [1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1]), a: feed([3, 4], 5), b: feed([3, 4], 6) },
  ],
  ['sum', ({ x }) => tf.sum(x, [1]), { x: feed([2, 3, 4], 7) }],
  ['sum, all', ({ x }) => tf.sum(x), { x: feed([2, 3, 4], 7) }],
  ['mean, keepDims', ({ x }) => tf.mean(x, [1, 2], true), { x: feed([2, 3, 4, 2], 7) }],
  ['max', ({ x }) => tf.max(x, -1), { x: feed([2, 3, 4], 8) }],
  ['variance', ({ x }) => tf.moments(x, [0, 1]).variance, { x: feed([4, 3, 4], 8) }],
  [
    'transposes and reshapes',
    ({ x }) => tf.reshape(tf.mul(tf.transpose(tf.reshape(x, [2, 12, 5]), [0, 2, 1]), 2), [2, 5, 3, 4]),
    { x: feed([2, 3, 4, 5], 9) },
  ],
  ['concat', ({ a, b }) => tf.concat([a, b], 3), { a: feed([2, 3, 3, 2], 1), b: feed([2, 3, 3, 4], 2) }],
  ['split', ({ x }) => tf.mul(tf.split(x, [1, 3], 1)[0], tf.split(x, [1, 3], 1)[1]), { x: feed([3, 4], 2) }],
  ['slice', ({ x }) => tf.slice(x, [0, 1, 2], [-1, 2, 2]), { x: feed([2, 4, 5], 3) }],
  [
    'pad',
    ({ x }) =>
      tf.pad(x, [
        [0, 0],
        [1, 2],
        [3, 0],
      ]),
    { x: feed([2, 4, 5], 3) },
  ],
  ['tile', ({ x }) => tf.tile(x, [2, 1, 3]), { x: feed([2, 4, 5], 3) }],
  ['stack', ({ a, b }) => tf.stack([a, b], 1), { a: feed([2, 3], 3), b: feed([2, 3], 4) }],
  ['reverse', ({ x }) => tf.reverse(x, [1]), { x: feed([2, 4, 5], 3) }],
  ['gather', ({ x, i }) => tf.gather(x, i as Tensor1D), { x: feed([5, 3], 3), i: ints([4], [4, 0, 0, 2]) }],
  ['oneHot', ({ i }) => tf.oneHot(i as Tensor1D, 5), { i: ints([4], [4, 0, 1, 2]) }],
  ['matMul', ({ a, b }) => tf.matMul(a, b), { a: feed([3, 4], 1), b: feed([4, 5], 2) }],
  [
    'matMul, transposed',
    ({ a, b }) => tf.matMul(a, b, true, true),
    { a: feed([4, 3], 1), b: feed([5, 4], 2) },
  ],
  [
    'matMul, batched',
    ({ a, b }) => tf.mul(tf.matMul(a, b, false, true), 0.5),
    { a: feed([2, 3, 4], 1), b: feed([2, 5, 4], 2) },
  ],
  [
    'linear',
    ({ x, w, b }) => ops.linear(x, w as Tensor2D, b as Tensor1D),
    { x: feed([2, 3, 4], 1), w: feed([5, 4], 2), b: feed([5], 3) },
  ],
  [
    'attention',
    ({ q, k, v }) => ops.attention(q as Tensor3D, k as Tensor3D, v as Tensor3D, 0.5),
    { q: feed([2, 6, 4], 1), k: feed([2, 5, 4], 2), v: feed([2, 5, 3], 3) },
  ],
  [
    'attention with a mask',
    ({ q, k, v, m }) => ops.attention(q as Tensor3D, k as Tensor3D, v as Tensor3D, 0.5, m as Tensor2D),
    { q: feed([2, 6, 4], 1), k: feed([2, 5, 4], 2), v: feed([2, 5, 3], 3), m: feed([6, 5], 4, 9) },
  ],
  ['relu', ({ x }) => ops.relu(x), { x: feed([3, 5], 1) }],
  [
    'batchNorm',
    ({ x, g, b }) => ops.batchNorm(x, g as Tensor1D, b as Tensor1D, 1e-5),
    { x: feed([2, 3, 4, 6], 1), g: feed([6], 2), b: feed([6], 3) },
  ],
  [
    'groupNorm',
    ({ x, g, b }) => ops.groupNorm(x, g as Tensor1D, b as Tensor1D, 2, 1e-5),
    { x: feed([2, 3, 4, 6], 1), g: feed([6], 2), b: feed([6], 3) },
  ],
  [
    'groupNorm of tokens',
    ({ x, g, b }) => ops.groupNorm(x, g as Tensor1D, b as Tensor1D, 3, 1e-5),
    { x: feed([2, 7, 6], 1), g: feed([6], 2), b: feed([6], 3) },
  ],
  [
    'layerNorm',
    ({ x, g, b }) => ops.layerNorm(x, g as Tensor1D, b as Tensor1D, 1e-2),
    { x: feed([2, 7, 6], 1), g: feed([6], 2), b: feed([6], 3) },
  ],
  [
    'layerNorm of a picture',
    ({ x, g, b }) => ops.layerNorm(tf.transpose(x, [0, 2, 1, 3]), g as Tensor1D, b as Tensor1D, 1e-5),
    { x: feed([2, 3, 4, 6], 1), g: feed([6], 2), b: feed([6], 3) },
  ],
  [
    'groupNorms of two epsilons',
    ({ x, g, b }) =>
      tf.sub(
        ops.groupNorm(x, g as Tensor1D, b as Tensor1D, 2, 0.1),
        ops.groupNorm(x, b as Tensor1D, g as Tensor1D, 2, 1e-5),
      ),
    { x: feed([2, 3, 4, 6], 1), g: feed([6], 2), b: feed([6], 3) },
  ],
  // A mean that is large beside the spread: E[x²] - E[x]² would have no digits left.
  [
    'groupNorm far from zero',
    ({ x, g, b }) => ops.groupNorm(tf.add(x, 30), g as Tensor1D, b as Tensor1D, 2, 1e-5),
    { x: feed([2, 3, 4, 6], 1), g: feed([6], 2), b: feed([6], 3) },
  ],
  [
    'layerNorm far from zero',
    ({ x, g, b }) => ops.layerNorm(tf.add(x, 30), g as Tensor1D, b as Tensor1D, 1e-5),
    { x: feed([2, 7, 6], 1), g: feed([6], 2), b: feed([6], 3) },
  ],
  ['avgPool2x', ({ x }) => ops.avgPool2x(x as Tensor4D), { x: feed([2, 4, 6, 5], 1) }],
  ['firDownsample2x', ({ x }) => firDownsample2x(x as Tensor4D), { x: feed([2, 4, 6, 3], 1) }],
  ['firUpsample2x', ({ x }) => firUpsample2x(x as Tensor4D), { x: feed([2, 2, 3, 3], 1) }],
  ['mish', ({ x }) => activation('mish', x), { x: feed([3, 50], 1, 25) }],
  ['gelu', ({ x }) => activation('gelu', x), { x: feed([3, 50], 1, 8) }],
  ['upsample2x', ({ x }) => ops.upsample2x(x as Tensor4D), { x: feed([2, 3, 4, 5], 1) }],
  ['maxPool', ({ x }) => tf.maxPool(x as Tensor4D, 2, 2, 'valid'), { x: feed([2, 5, 6, 3], 1) }],
  ['maxPool, overlapping', ({ x }) => tf.maxPool(x as Tensor4D, 3, 1, 'same'), { x: feed([1, 5, 6, 2], 1) }],
  [
    'batch norm by hand',
    ({ x }) => {
      const { mean, variance } = tf.moments(x, [0, 1, 2]);
      return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
    },
    { x: feed([2, 4, 4, 3], 1) },
  ],
];

const convolutions: Case[] = [];
let seed = 11;
for (const [n, h, w, i, o, k, stride, padding] of [
  [1, 5, 5, 3, 4, 3, 1, 1],
  [3, 6, 4, 2, 5, 3, 1, 1],
  [2, 5, 7, 3, 2, 1, 1, 0],
  [2, 7, 6, 3, 4, 3, 2, 1],
  [2, 8, 8, 2, 3, 3, 1, 0],
  [2, 6, 6, 3, 3, 2, 2, 0],
  [1, 9, 9, 2, 2, 5, 1, 2],
  [2, 6, 6, 3, 3, 1, 2, 0],
  [2, 7, 7, 2, 3, 3, 3, 1],
  // Larger pictures, whose inputs' gradients are convolutions with the filter turned.
  [1, 18, 20, 2, 3, 3, 1, 1],
  [1, 19, 17, 2, 2, 5, 1, 2],
]) {
  convolutions.push([
    `conv2d ${n}×${h}×${w}×${i} → ${o}, ${k}×${k}, stride ${stride}, padding ${padding}`,
    (t) => ops.conv2d(t.x as Tensor4D, t.w as Tensor4D, t.b as Tensor1D, { stride, padding }),
    { x: feed([n, h, w, i], seed++), w: feed([o, i, k, k], seed++), b: feed([o], seed++) },
  ]);
}
convolutions.push(
  [
    'conv2d, asymmetric downsampling',
    (t) =>
      ops.conv2d(t.x as Tensor4D, t.w as Tensor4D, t.b as Tensor1D, {
        stride: 2,
        padding: [
          [0, 1],
          [0, 1],
        ],
      }),
    { x: feed([2, 8, 6, 3], 1), w: feed([4, 3, 3, 3], 2), b: feed([4], 3) },
  ],
  [
    'convTranspose2d',
    (t) => ops.convTranspose2d(t.x as Tensor4D, t.w as Tensor4D, t.b as Tensor1D, 2),
    { x: feed([2, 4, 3, 3], 1), w: feed([3, 2, 2, 2], 2), b: feed([2], 3) },
  ],
  [
    'convTranspose2d, 3×3',
    (t) => ops.convTranspose2d(t.x as Tensor4D, t.w as Tensor4D, null, 2),
    { x: feed([1, 4, 3, 3], 1), w: feed([3, 2, 3, 3], 2) },
  ],
);

/** Cases of which only the value is compared. */
export const noGradient = new Set([
  'oneHot',
  'comparisons',
  'elu', // tfjs's EluGrad kernel has no lowering
  // tfjs itself gets these gradients' shapes wrong
  'maximum, broadcast',
  'minimum, broadcast',
  'squaredDifference, broadcast',
]);

export const cases: readonly Case[] = [...operations, ...convolutions];
