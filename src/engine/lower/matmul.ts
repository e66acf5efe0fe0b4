/** Matrix products. A swapped layout of the last two axes is the kernel's own transpose flag. */
import { equal, identity, type Lowering } from './context.js';
import { oneHotRows } from './movement.js';
import type { Lower } from './table.js';

function swapped(rank: number): number[] {
  return [...identity(rank).slice(0, -2), rank - 1, rank - 2];
}

/** An operand as ONNX wants it, and whether the product must transpose it. */
function factor(l: Lowering, id: number, transpose: boolean): { name: string; transpose: boolean } {
  const rank = l.value(id).shape.length;
  if (l.isConstant(id))
    return { name: l.as(id, transpose ? swapped(rank) : identity(rank)).name, transpose: false };
  const native = l.native(id);
  if (equal(native.layout, swapped(rank))) return { name: native.name, transpose: !transpose };
  return { name: l.plain(id).name, transpose };
}

/**
 * a·b, with either transposed and the product scaled, without moving data (in standard operators: with).
 * @param ranks of a and of b
 */
export function product(
  l: Lowering,
  a: string,
  b: string,
  transA: boolean,
  transB: boolean,
  alpha = 1,
  ranks: readonly [number, number] = [2, 2],
): string {
  if (!transA && !transB && alpha === 1) return l.emit('MatMul', [a, b]);
  if (l.standard) {
    const turned = (x: string, rank: number) => l.emit('Transpose', [x], { perm: swapped(rank) });
    const made = l.emit('MatMul', [transA ? turned(a, ranks[0]) : a, transB ? turned(b, ranks[1]) : b]);
    return alpha === 1 ? made : l.emit('Mul', [made, l.scalar(alpha)]);
  }
  return l.emit(
    'FusedMatMul',
    [a, b],
    { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } },
    'com.microsoft',
  );
}

const batchMatMul: Lower = (l, node) => {
  const { transposeA, transposeB, alpha } = node.attrs as {
    transposeA: boolean;
    transposeB: boolean;
    alpha?: number;
  };
  const a = factor(l, node.inputs[0], transposeA);
  const b = factor(l, node.inputs[1], transposeB);
  const [out] = node.outputs;
  const ranks = [0, 1].map((i) => l.value(node.inputs[i]).shape.length) as [number, number];
  l.bind(
    out,
    product(l, a.name, b.name, a.transpose, b.transpose, alpha, ranks),
    identity(l.value(out).shape.length),
  );
};

/** Rows added up by segment: a product with the segments' one-hot matrix. */
const segmentSum: Lower = (l, node) => {
  const [x, ids] = node.inputs;
  const [out] = node.outputs;
  const { shape } = l.value(out);
  const rows = l.value(ids).shape.reduce((a, b) => a * b, 1);
  const flatIds = l.reshaped(l.plain(ids), [rows]);
  const hot = oneHotRows(l, flatIds, shape[0]);
  const data = l.reshaped(l.plain(x), [rows, shape.slice(1).reduce((a, b) => a * b, 1)]);
  l.bind(out, l.reshape(product(l, hot, data, true, false), shape), identity(shape.length));
};

export const matmulLowerings: Record<string, Lower> = {
  BatchMatMul: batchMatMul,
  UnsortedSegmentSum: segmentSum,
};
