/**
 * What each tfjs kernel returns: shape and dtype from those of its inputs. This table is also the list of the
 * kernels that can be compiled; one that is missing fails while tracing.
 */
import type { DType } from './graph.js';
import { fused } from './ops.js';
import { tf } from './tf.js';

export interface Info {
  readonly shape: readonly number[];
  readonly dtype: DType;
}
export type Attrs = Readonly<Record<string, unknown>>;
type Infer = (inputs: readonly Info[], attrs: Attrs) => Info | Info[];

export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const da = a[a.length - rank + i] ?? 1;
    const db = b[b.length - rank + i] ?? 1;
    if (da !== db && da !== 1 && db !== 1) throw new Error(`shapes [${a}] and [${b}] do not broadcast`);
    return da === 1 ? db : da;
  });
}

const same: Infer = ([x]) => x;
const binary: Infer = ([a, b]) => ({ shape: broadcastShapes(a.shape, b.shape), dtype: a.dtype });
const compare: Infer = ([a, b]) => ({ shape: broadcastShapes(a.shape, b.shape), dtype: 'bool' });

export function normalizeAxes(axis: unknown, rank: number): number[] {
  const list = axis === undefined || axis === null ? [] : Array.isArray(axis) ? axis : [axis];
  const axes = list.length ? (list as number[]) : Array.from({ length: rank }, (_, i) => i);
  return axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
}

/** The reduced axes; tfjs calls them `axis` or, for max and min, `reductionIndices`. */
export function reducedAxes(attrs: Attrs, rank: number): number[] {
  return normalizeAxes(attrs.axis ?? attrs.reductionIndices, rank);
}

const reduce: Infer = ([x], attrs) => {
  const axes = reducedAxes(attrs, x.shape.length);
  const shape = attrs.keepDims
    ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d))
    : x.shape.filter((_, i) => !axes.includes(i));
  return { shape, dtype: x.dtype };
};

const matmul: Infer = ([a, b], { transposeA, transposeB }) => {
  const [sa, sb] = [a.shape, b.shape];
  const m = sa[sa.length - (transposeA ? 1 : 2)];
  const n = sb[sb.length - (transposeB ? 2 : 1)];
  return { shape: [...broadcastShapes(sa.slice(0, -2), sb.slice(0, -2)), m, n], dtype: a.dtype };
};

type PadAttr = 'same' | 'valid' | number | [number, number][];
/** The full geometry of a convolution, as tfjs computes it. */
export function convInfo(
  inShape: readonly number[],
  filterShape: readonly number[],
  attrs: Attrs,
): ReturnType<typeof tf.backend_util.computeConv2DInfo> {
  return tf.backend_util.computeConv2DInfo(
    inShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attrs.strides as number,
    (attrs.dilations as number | [number, number] | undefined) ?? 1,
    attrs.pad as never as 'valid',
    attrs.dimRoundingMode as 'floor',
    false,
    'channelsLast',
  );
}

export function poolInfo(inShape: readonly number[], attrs: Attrs) {
  return tf.backend_util.computePool2DInfo(
    inShape as [number, number, number, number],
    attrs.filterSize as number,
    attrs.strides as number,
    1,
    attrs.pad as PadAttr as 'valid',
    attrs.dimRoundingMode as 'floor',
  );
}

const pool: Infer = ([x], attrs) => ({ shape: poolInfo(x.shape, attrs).outShape, dtype: x.dtype });

function resolveReshape(from: readonly number[], to: readonly number[]): number[] {
  const total = from.reduce((a, b) => a * b, 1);
  const known = to.reduce((a, b) => (b === -1 ? a : a * b), 1);
  return to.map((d) => (d === -1 ? total / known : d));
}

function splitSizes(x: Info, attrs: Attrs): number[] {
  return tf.backend_util.prepareSplitSize(
    { shape: x.shape } as never,
    attrs.numOrSizeSplits as number[],
    normalizeAxes(attrs.axis, x.shape.length)[0],
  );
}

/** Begin and size of a slice with tfjs's -1 ("to the end") resolved. */
export function sliceBounds(shape: readonly number[], attrs: Attrs): { begin: number[]; size: number[] } {
  const begin = attrs.begin as number | number[];
  const start = shape.map((_, i) => (Array.isArray(begin) ? begin[i] : i === 0 ? begin : 0) ?? 0);
  const given = attrs.size as number | number[] | undefined;
  const size = shape.map((d, i) => {
    const s = Array.isArray(given) ? given[i] : i === 0 ? given : undefined;
    return s === undefined || s < 0 ? d - start[i] : s;
  });
  return { begin: start, size };
}

const unaryNames =
  'Abs Ceil Cos Erf Exp Floor Identity LeakyRelu Log Log1p Neg Reciprocal Relu Round Rsqrt Sigmoid Sign Sin Softplus Sqrt Square Step Tanh ClipByValue Softmax LogSoftmax Elu Relu6';
const binaryNames = 'Add Sub Multiply RealDiv Maximum Minimum Pow SquaredDifference';
const compareNames = 'Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr';
const reduceNames = 'Sum Mean Max Min Prod';

const table: Record<string, Infer> = {
  ...Object.fromEntries(unaryNames.split(' ').map((k) => [k, same])),
  ...Object.fromEntries(binaryNames.split(' ').map((k) => [k, binary])),
  ...Object.fromEntries(compareNames.split(' ').map((k) => [k, compare])),
  ...Object.fromEntries(reduceNames.split(' ').map((k) => [k, reduce])),
  AddN: (xs) => xs[0],
  LogicalNot: ([x]) => ({ shape: x.shape, dtype: 'bool' }),
  Cast: ([x], { dtype }) => ({ shape: x.shape, dtype: dtype as DType }),
  BatchMatMul: matmul,
  Select: ([, t, e]) => ({ shape: broadcastShapes(t.shape, e.shape), dtype: t.dtype }),
  Reshape: ([x], { shape }) => ({ shape: resolveReshape(x.shape, shape as number[]), dtype: x.dtype }),
  ExpandDims: ([x], { dim }) => {
    const at = (dim as number) < 0 ? x.shape.length + 1 + (dim as number) : (dim as number);
    return { shape: [...x.shape.slice(0, at), 1, ...x.shape.slice(at)], dtype: x.dtype };
  },
  Transpose: ([x], { perm }) => ({ shape: (perm as number[]).map((p) => x.shape[p]), dtype: x.dtype }),
  Concat: (xs, { axis }) => {
    const at = normalizeAxes(axis, xs[0].shape.length)[0];
    const total = xs.reduce((n, x) => n + x.shape[at], 0);
    return { shape: xs[0].shape.map((d, i) => (i === at ? total : d)), dtype: xs[0].dtype };
  },
  Pack: (xs, { axis }) => {
    const at = (axis as number) < 0 ? xs[0].shape.length + 1 + (axis as number) : (axis as number);
    return { shape: [...xs[0].shape.slice(0, at), xs.length, ...xs[0].shape.slice(at)], dtype: xs[0].dtype };
  },
  Unpack: ([x], { axis }) => {
    const at = normalizeAxes(axis, x.shape.length)[0];
    return Array.from({ length: x.shape[at] }, () => ({
      shape: x.shape.filter((_, i) => i !== at),
      dtype: x.dtype,
    }));
  },
  SplitV: ([x], attrs) => {
    const at = normalizeAxes(attrs.axis, x.shape.length)[0];
    return splitSizes(x, attrs).map((size) => ({
      shape: x.shape.map((d, i) => (i === at ? size : d)),
      dtype: x.dtype,
    }));
  },
  Slice: ([x], attrs) => ({ shape: sliceBounds(x.shape, attrs).size, dtype: x.dtype }),
  PadV2: ([x], { paddings }) => ({
    shape: x.shape.map((d, i) => d + (paddings as number[][])[i][0] + (paddings as number[][])[i][1]),
    dtype: x.dtype,
  }),
  Tile: ([x], { reps }) => ({ shape: x.shape.map((d, i) => d * (reps as number[])[i]), dtype: x.dtype }),
  BroadcastTo: ([x], { shape }) => ({ shape: shape as number[], dtype: x.dtype }),
  Reverse: same,
  GatherV2: ([x, indices], { axis, batchDims }) => {
    if (batchDims) throw new Error('gather with batchDims');
    const at = normalizeAxes(axis, x.shape.length)[0];
    return { shape: [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)], dtype: x.dtype };
  },
  UnsortedSegmentSum: ([x, ids], { numSegments }) => ({
    shape: [numSegments as number, ...x.shape.slice(ids.shape.length)],
    dtype: x.dtype,
  }),
  OneHot: ([x], { depth, dtype }) => ({
    shape: [...x.shape, depth as number],
    dtype: (dtype as DType | undefined) ?? 'float32',
  }),
  ArgMax: ([x], { axis }) => {
    const at = normalizeAxes(axis, x.shape.length)[0];
    return { shape: x.shape.filter((_, i) => i !== at), dtype: 'int32' };
  },
  Conv2D: ([x, w], attrs) => ({ shape: convInfo(x.shape, w.shape, attrs).outShape, dtype: 'float32' }),
  Conv2DBackpropInput: (_, { inputShape }) => ({ shape: inputShape as number[], dtype: 'float32' }),
  Conv2DBackpropFilter: (_, { filterShape }) => ({ shape: filterShape as number[], dtype: 'float32' }),
  MaxPool: pool,
  AvgPool: pool,
  MaxPoolGrad: ([, x]) => x,
  ResizeBilinear: ([x], { size }) => ({
    shape: [x.shape[0], ...(size as number[]), x.shape[3]],
    dtype: 'float32',
  }),
  [fused.silu]: same,
  [fused.groupNorm]: same,
  [fused.layerNorm]: same,
  [fused.upsample2x]: ([{ shape: s, dtype }]) => ({ shape: [s[0], s[1] * 2, s[2] * 2, s[3]], dtype }),
  [fused.sumPool2x]: ([{ shape: s, dtype }]) => ({ shape: [s[0], s[1] / 2, s[2] / 2, s[3]], dtype }),
};

export const kernelNames: readonly string[] = Object.keys(table);

export function inferShapes(op: string, inputs: readonly Info[], attrs: Attrs): Info[] {
  const result = table[op](inputs, attrs);
  return Array.isArray(result) ? result : [result];
}
