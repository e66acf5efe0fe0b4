/** Each rule of the simplification: what is left of the graph, and that its values are those of the eager function. */
import { describe, expect, it } from 'vitest';
import { graphOf } from '../../src/engine/compile.js';
import type { DType, Graph, Node, Value } from '../../src/engine/graph.js';
import * as ops from '../../src/engine/ops.js';
import type { Feed } from '../../src/engine/session.js';
import { passes, rewrite, simplify } from '../../src/engine/simplify.js';
import { type Tensor, type Tensor2D, type Tensor3D, type Tensor4D, tf } from '../../src/engine/tf.js';
import { expectSame, feed } from './helpers.js';

type Inputs = Record<string, Tensor>;
type Case = [what: string, f: (t: Inputs) => Tensor, inputs: Record<string, Feed>, left: string[]];

const x = { x: feed([2, 3], 1) };
const picture = { x: feed([1, 4, 4, 2], 1) };
const kernel = () => tf.tensor(feed([3, 3, 2, 5], 3).data as Float32Array, [3, 3, 2, 5]) as Tensor4D;
/** Traced as a broadcast, which tf.broadcastTo is not: tfjs makes it a tile. */
const spread = (t: Tensor) => tf.mul(t, tf.ones([2, 3]));
const convolve = (t: Tensor) => tf.conv2d(t as Tensor4D, kernel(), 1, 'same');

const cases: Record<string, Case[]> = {
  'what does nothing goes': [
    ['identity', ({ x }) => tf.clone(x), x, []],
    ['a cast to its own type', ({ x }) => tf.cast(x, 'float32'), x, []],
    ['a reshape to its own shape', ({ x }) => tf.reshape(x, [2, 3]), x, []],
    ['a slice of everything', ({ x }) => tf.slice(x, [0, 0], [2, 3]), x, []],
    ['one tile', ({ x }) => tf.tile(x, [1, 1]), x, []],
    ['a broadcast to its own shape', ({ x }) => tf.broadcastTo(x, [2, 3]), x, []],
    ['a transpose that moves nothing', ({ x }) => tf.transpose(x, [0, 1]), x, []],
    [
      'a pad of nothing',
      ({ x }) =>
        tf.pad(x, [
          [0, 0],
          [0, 0],
        ]),
      x,
      [],
    ],
    ['a sum over an axis of one is a reshape', ({ x }) => tf.sum(x, 1), { x: feed([4, 1], 1) }, ['Reshape']],
    ['a mean over an axis of one likewise', ({ x }) => tf.mean(x, 0, true), { x: feed([1, 4], 1) }, []],
    ['expandDims is a reshape', ({ x }) => tf.expandDims(x, 1), x, ['Reshape']],
  ],
  'what does something stays': [
    ['a cast to another type', ({ x }) => tf.cast(tf.cast(x, 'int32'), 'float32'), x, ['Cast', 'Cast']],
    ['a slice of a part', ({ x }) => tf.slice(x, [0, 1], [2, 2]), x, ['Slice']],
    ['a slice from the second of a row', ({ x }) => tf.slice(x, [1, 0], [1, 3]), x, ['Slice']],
    ['a transpose', ({ x }) => tf.transpose(x), x, ['Transpose']],
    ['two tiles', ({ x }) => tf.tile(x, [2, 1]), x, ['Tile']],
    [
      'a pad on one side',
      ({ x }) =>
        tf.pad(x, [
          [0, 0],
          [0, 1],
        ]),
      x,
      ['PadV2'],
    ],
    ['a sum over two', ({ x }) => tf.sum(x, 0), x, ['Sum']],
  ],
  'neutral elements go': [
    ['x·1', ({ x }) => tf.mul(x, 1), x, []],
    ['1·x', ({ x }) => tf.mul(1, x), x, []],
    ['x/1', ({ x }) => tf.div(x, 1), x, []],
    ['x+0', ({ x }) => tf.add(x, 0), x, []],
    ['0+x', ({ x }) => tf.add(0, x), x, []],
    ['x-0', ({ x }) => tf.sub(x, 0), x, []],
    ['x·0 is a constant', ({ x }) => tf.mul(x, 0), x, []],
    ['0·x likewise', ({ x }) => tf.mul(tf.zeros([2, 3]), x), x, []],
    ['x·ones of more axes spreads x', ({ x }) => tf.mul(x, tf.ones([4, 2, 3])), x, ['BroadcastTo']],
    ['zeros of more axes + x likewise', ({ x }) => tf.add(tf.zeros([4, 2, 3]), x), x, ['BroadcastTo']],
  ],
  'what looks neutral and is not stays': [
    ['0-x', ({ x }) => tf.sub(0, x), x, ['Sub']],
    ['1/x', ({ x }) => tf.div(1, tf.add(tf.abs(x), 0.5)), x, ['Abs', 'Add', 'RealDiv']],
    ['x·-1', ({ x }) => tf.mul(x, -1), x, ['Multiply']],
    ['-1·x', ({ x }) => tf.mul(-1, x), x, ['Multiply']],
    ['x+1', ({ x }) => tf.add(x, 1), x, ['Add']],
    ['x/0.5', ({ x }) => tf.div(x, 0.5), x, ['RealDiv']],
    ['max(x, 0)', ({ x }) => tf.maximum(x, 0), x, ['Maximum']],
  ],
  'uniform constants are computed': [
    ...(
      [
        ['neg', tf.neg],
        ['exp', tf.exp],
        ['log', tf.log],
        ['sqrt', tf.sqrt],
        ['rsqrt', tf.rsqrt],
        ['square', tf.square],
        ['reciprocal', tf.reciprocal],
        ['abs', tf.abs],
      ] as [string, (t: Tensor) => Tensor][]
    ).map(([name, f]): Case => [name, ({ x }) => tf.add(x, f(tf.fill([2, 3], 0.7))), x, ['Add']]),
    ...(
      [
        ['add', tf.add],
        ['sub', tf.sub],
        ['mul', tf.mul],
        ['div', tf.div],
        ['maximum', tf.maximum],
        ['minimum', tf.minimum],
      ] as [string, (a: Tensor, b: Tensor) => Tensor][]
    ).map(
      ([name, f]): Case => [
        name,
        ({ x }) => tf.add(x, f(tf.fill([2, 1], 0.3), tf.fill([3], 0.7))),
        x,
        ['Add'],
      ],
    ),
    [
      'moved ones are the same',
      ({ x }) => tf.mul(x, tf.transpose(tf.reshape(tf.fill([6], 3), [3, 2]))),
      x,
      ['Multiply'],
    ],
    [
      'a logarithm of a negative number is not a number',
      ({ x }) => tf.where(tf.greater(x, 9), tf.log(tf.fill([2, 3], -1)), x),
      x,
      ['Greater', 'Select'],
    ],
  ],
  'reshapes join': [
    ['two', ({ x }) => tf.reshape(tf.reshape(x, [6]), [3, 2]), x, ['Reshape']],
    ['there and back', ({ x }) => tf.reshape(tf.reshape(x, [6]), [2, 3]), x, []],
    [
      'not across a transpose',
      ({ x }) => tf.reshape(tf.transpose(tf.reshape(x, [3, 2])), [6]),
      x,
      ['Reshape', 'Transpose', 'Reshape'],
    ],
  ],
  'broadcasts wait': [
    [
      'for an operation that broadcasts',
      ({ x, y }) => tf.mul(x, spread(y)),
      { ...x, y: feed([3], 2) },
      ['Multiply'],
    ],
    ['on either side', ({ x, y }) => tf.sub(spread(y), x), { ...x, y: feed([2, 1], 2) }, ['Sub']],
    [
      'but not when both sides are spread',
      ({ x, y }) => tf.add(spread(x), spread(y)),
      { x: feed([3], 1), y: feed([1], 2) },
      ['BroadcastTo', 'Add'],
    ],
    [
      'the gradient of a mean',
      ({ x }) => tf.grad((t: Tensor) => tf.mean(tf.square(t)))(x),
      x,
      ['Multiply', 'Multiply'],
    ],
  ],
  'a convolution takes its bias': [
    ['x ∗ w + b', ({ x, b }) => tf.add(convolve(x), b), { ...picture, b: feed([5], 2) }, ['Conv2D']],
    [
      'not a picture',
      ({ x, b }) => tf.add(convolve(x), b),
      { ...picture, b: feed([1, 4, 4, 5], 2) },
      ['Conv2D', 'Add'],
    ],
    [
      'not a single number',
      ({ x, b }) => tf.add(convolve(x), b),
      { ...picture, b: feed([1], 2) },
      ['Conv2D', 'Add'],
    ],
    [
      'not a second one',
      ({ x, b }) => tf.add(tf.add(convolve(x), b), b),
      { ...picture, b: feed([5], 2) },
      ['Conv2D', 'Add'],
    ],
    [
      'not where the sum without it is used',
      ({ x, b }) => {
        const y = convolve(x);
        return tf.mul(tf.add(y, b), y);
      },
      { ...picture, b: feed([5], 2) },
      ['Conv2D', 'Add', 'Multiply'],
    ],
  ],
  'a product takes its scale': [
    [
      '(a·b)·c',
      ({ x }) => tf.mul(tf.matMul(x as Tensor2D, x as Tensor2D, false, true), 0.5),
      x,
      ['BatchMatMul'],
    ],
    [
      'c·(a·b)',
      ({ x }) => tf.mul(0.5, tf.matMul(x as Tensor2D, x as Tensor2D, true, false)),
      x,
      ['BatchMatMul'],
    ],
    [
      'twice',
      ({ x }) => tf.mul(tf.mul(tf.matMul(x as Tensor2D, x as Tensor2D, false, true), 0.5), 3),
      x,
      ['BatchMatMul'],
    ],
    [
      'not one that varies',
      ({ x, y }) => tf.mul(tf.matMul(x as Tensor2D, x as Tensor2D, false, true), y),
      { ...x, y: feed([2], 3) },
      ['BatchMatMul', 'Multiply'],
    ],
    [
      'not one that spreads it',
      ({ x }) => tf.mul(tf.matMul(x as Tensor2D, x as Tensor2D, false, true), tf.fill([3, 2, 2], 2)),
      x,
      ['BatchMatMul', 'Multiply'],
    ],
    [
      'of attention',
      ({ q, k, v }) => ops.attention(q as Tensor3D, k as Tensor3D, v as Tensor3D, 0.3),
      { q: feed([1, 4, 2], 1), k: feed([1, 5, 2], 2), v: feed([1, 5, 3], 3) },
      ['BatchMatMul', 'Softmax', 'BatchMatMul'],
    ],
  ],
  'equal computations are one': [
    ['a function', ({ x }) => tf.mul(tf.exp(x), tf.exp(x)), x, ['Exp', 'Multiply']],
    [
      'with equal constants',
      ({ x }) => tf.mul(tf.add(x, 2), tf.add(x, tf.scalar(2))),
      x,
      ['Add', 'Multiply'],
    ],
    ['not with others', ({ x }) => tf.mul(tf.add(x, 2), tf.add(x, 3)), x, ['Add', 'Add', 'Multiply']],
    [
      'not with other attributes',
      ({ x }) => tf.add(tf.sum(x, 0, true), tf.sum(x, 1, true)),
      x,
      ['Sum', 'Sum', 'Add'],
    ],
    [
      'not with operands the other way round',
      ({ x, y }) => tf.mul(tf.sub(x, y), tf.sub(y, x)),
      { ...x, y: feed([2, 3], 2) },
      ['Sub', 'Sub', 'Multiply'],
    ],
  ],
  'what no output needs goes': [
    [
      'a branch',
      ({ x }) => {
        tf.exp(x);
        return tf.neg(x);
      },
      x,
      ['Neg'],
    ],
  ],
};

for (const [group, list] of Object.entries(cases)) {
  describe(group, () => {
    it.each(list)('%s', async (_, f, inputs, left) => {
      expect(graphOf((t) => ({ y: f(t) }), inputs).nodes.map((n) => n.op)).toEqual(left);
      await expectSame((t) => ({ y: f(t) }), inputs);
    });
  });
}

describe('a pass', () => {
  const value = (id: number, shape: number[], uniform?: number): Value => ({
    id,
    shape,
    dtype: 'float32' as DType,
    ...(uniform === undefined ? {} : { constant: { uniform } }),
  });
  const node = (op: string, inputs: number[], output: number): Node => ({
    op,
    inputs,
    outputs: [output],
    attrs: {},
  });
  /** y = (x + 0)·1, by hand. */
  const graph = (): Graph => ({
    values: [value(0, [2]), value(1, [], 0), value(2, [2]), value(3, [], 1), value(4, [2])],
    nodes: [node('Add', [0, 1], 2), node('Multiply', [2, 3], 4)],
    inputs: { x: 0 },
    outputs: { y: 4 },
  });

  it('leaves the graph that it was given as it was', () => {
    const before = graph();
    const simple = simplify(before);
    expect(before).toEqual(graph());
    expect(simple.nodes).toEqual([]);
    expect(simple.outputs).toEqual({ y: 0 });
  });

  it('does nothing without rules, and nothing more the second time', () => {
    expect(rewrite(graph(), []).nodes).toEqual(graph().nodes);
    const once = simplify(graph());
    expect(simplify(once)).toEqual(once);
  });

  it('is reported with the nodes that are left', () => {
    const seen: [string, number][] = [];
    simplify(graph(), (pass, n) => seen.push([pass, n]));
    expect(seen).toEqual([['traced', 2], ['live', 2], ...Object.keys(passes).map((name) => [name, 0])]);
  });
});

describe('ONNX Runtime must not fold', () => {
  it.each([
    [0, 1],
    [1, 1],
    [2, 2],
    [3, 3],
    [0, 3],
    [2, 4],
  ])(
    'a pad into the pooling after it: the gradient of a crop by %i of %i after upsampling',
    async (crop, all) => {
      const cropped = (t: Tensor) => {
        const y = ops.upsample2x(t as Tensor4D);
        return tf.slice(y, [0, crop, crop, 0], [1, y.shape[1] - all, y.shape[2] - all, 2]);
      };
      await expectSame(({ x }) => ({ g: tf.grad((t: Tensor) => tf.sum(tf.square(cropped(t))))(x) }), picture);
    },
  );
});
