/** Reductions, softmax, group and layer normalization. */
import { sizeOf } from '../graph.js';
import { normalizeAxes, reducedAxes } from '../shapes.js';
import { SUM_SQUARE } from '../simplify.js';
import { identity, type Lowering, NCHW } from './context.js';
import type { Lower } from './table.js';

/** Of a gradient, which is an output too: as it is put out. */
const sumSquare: Lower = (l, node) => {
  const [x] = node.inputs;
  const { shape } = l.value(node.outputs[0]);
  const made = l.emit('ReduceSumSquare', [l.plain(x).name], { keepdims: shape.length > 0 ? 1 : 0 });
  l.bind(node.outputs[0], made, identity(shape.length));
};

const reduce =
  (op: string): Lower =>
  (l, node) => {
    const [x] = node.inputs;
    const axes = reducedAxes(node.attrs, l.value(x).shape.length);
    const keep = node.attrs.keepDims === true;
    const { name, layout } = l.native(x);
    const made = l.emit(op, [name, l.ints(axes.map((axis) => layout.indexOf(axis)).sort((a, b) => a - b))], {
      keepdims: keep ? 1 : 0,
    });
    const renumbered = (axis: number) => axis - axes.filter((a) => a < axis).length;
    l.bind(node.outputs[0], made, keep ? layout : layout.filter((a) => !axes.includes(a)).map(renumbered));
  };

const softmax =
  (op: string): Lower =>
  (l, node) => {
    const [x] = node.inputs;
    const rank = l.value(x).shape.length;
    const dim = (node.attrs.dim as number | undefined) ?? -1;
    // ONNX Runtime's kernel is fastest along the last physical dimension.
    const p = l.as(x, identity(rank));
    l.bind(node.outputs[0], l.emit(op, [p.name], { axis: dim < 0 ? dim + rank : dim }), p.layout);
  };

const argMax: Lower = (l, node) => {
  const [x] = node.inputs;
  const rank = l.value(x).shape.length;
  const axis = normalizeAxes(node.attrs.axis, rank)[0];
  const found = l.emit('ArgMax', [l.plain(x).name], { axis, keepdims: 0 });
  l.bind(node.outputs[0], l.emit('Cast', [found], { to: 6 }), identity(rank - 1));
};

/** Channels-first layout of any value whose last axis is channels. */
export function channelsFirst(rank: number): number[] {
  return rank === 4 ? NCHW : [0, rank - 1, ...identity(rank).slice(1, -1)];
}

/** Values less their mean along the last dimension. */
function centred(l: Lowering, x: string): string {
  return l.emit('Sub', [x, l.emit('ReduceMean', [x, l.ints([-1])], { keepdims: 1 })]);
}

/** [N, G, n], each row of n normalized. */
function normalized(l: Lowering, x: string, [, groups, n]: readonly number[], eps: number): string {
  const epsilon = { float: eps };
  const all = (value: number, length: number) =>
    l.initializer('float32', [length], new Float32Array(length).fill(value));
  if (!l.carefulNorms)
    return l.emit('InstanceNormalization', [x, all(1, groups), all(0, groups)], { epsilon });
  const ones = l.emit('Expand', [l.scalar(1), l.ints([n])]);
  return l.emit('LayerNormalization', [centred(l, x), ones], { axis: -1, epsilon });
}

const groupNorm: Lower = (l, node) => {
  const [x, gamma, beta] = node.inputs;
  const { groups, eps } = node.attrs as { groups: number; eps: number };
  const { shape } = l.value(x);
  const layout = channelsFirst(shape.length);
  const held = l.as(x, layout);
  const rows = [shape[0], groups, sizeOf(shape) / (shape[0] * groups)];
  const normal = normalized(l, l.reshape(held.name, rows), rows, eps);
  const back = l.reshape(normal, held.shape);
  const scaled = l.emit('Mul', [back, perChannel(l, gamma, shape.length)]);
  l.bind(node.outputs[0], l.emit('Add', [scaled, perChannel(l, beta, shape.length)]), layout);
};

const layerNorm: Lower = (l, node) => {
  const [x, gamma, beta] = node.inputs;
  const rank = l.value(x).shape.length;
  const given = l.as(x, identity(rank)).name;
  const inputs = [l.carefulNorms ? centred(l, given) : given, l.plain(gamma).name, l.plain(beta).name];
  const made = l.emit('LayerNormalization', inputs, {
    axis: -1,
    epsilon: { float: node.attrs.eps as number },
  });
  l.bind(node.outputs[0], made, identity(rank));
};

/** A [C] vector shaped to broadcast over channels-first data. */
export function perChannel(l: Lowering, id: number, rank: number): string {
  const [c] = l.value(id).shape;
  return l.reshaped(l.native(id), [c, ...new Array(rank - 2).fill(1)]);
}

export const reduceLowerings: Record<string, Lower> = {
  Sum: reduce('ReduceSum'),
  [SUM_SQUARE]: sumSquare,
  Mean: reduce('ReduceMean'),
  Max: reduce('ReduceMax'),
  Min: reduce('ReduceMin'),
  Prod: reduce('ReduceProd'),
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  ArgMax: argMax,
  SumiGroupNorm: groupNorm,
  SumiLayerNorm: layerNorm,
};
