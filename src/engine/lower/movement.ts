/** Operations that only move elements. Most of them cost nothing: they change the layout, not the data. */
import { ElementType } from '../onnx.js';
import { normalizeAxes, sliceBounds } from '../shapes.js';
import { tf } from '../tf.js';
import { identity, type Lowering } from './context.js';
import { commonLayout } from './elementwise.js';
import type { Lower } from './table.js';

/**
 * Splits a reshape into independent groups: runs of input axes and of output axes with equal products. Axes of
 * size one belong to no group.
 */
function groupAxes(from: readonly number[], to: readonly number[]): { ins: number[]; outs: number[] }[] {
  const a = identity(from.length).filter((i) => from[i] !== 1);
  const b = identity(to.length).filter((i) => to[i] !== 1);
  const groups: { ins: number[]; outs: number[] }[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const group = { ins: [a[i]], outs: [b[j]] };
    let [p, q] = [from[a[i++]], to[b[j++]]];
    while (p !== q) {
      if (p < q) {
        p *= from[a[i]];
        group.ins.push(a[i++]);
      } else {
        q *= to[b[j]];
        group.outs.push(b[j++]);
      }
    }
    groups.push(group);
  }
  return groups;
}

/** The layout of a reshape's result when the data need not move, or null when they must. */
export function reshapeLayout(
  from: readonly number[],
  layout: readonly number[],
  to: readonly number[],
): number[] | null {
  const groups = groupAxes(from, to);
  const held = layout.filter((axis) => from[axis] !== 1);
  const place = (g: { ins: number[] }) => held.indexOf(g.ins[0]);
  for (const g of groups) {
    const start = place(g);
    if (!g.ins.every((axis, k) => held[start + k] === axis)) return null;
  }
  const ordered = [...groups].sort((g, h) => place(g) - place(h)).flatMap((g) => g.outs);
  // An axis of size one may lie anywhere: right before the axis that follows it, or last.
  const result = [...ordered];
  for (let axis = to.length - 1; axis >= 0; axis--) {
    if (to[axis] !== 1) continue;
    const next = result.indexOf(axis + 1);
    result.splice(next < 0 ? result.length : next, 0, axis);
  }
  return result;
}

const reshape: Lower = (l, node) => {
  const [x] = node.inputs;
  const [out] = node.outputs;
  const { shape } = l.value(out);
  const native = l.native(x);
  const layout = reshapeLayout(l.value(x).shape, native.layout, shape);
  const from = layout ? native : l.plain(x);
  const outLayout = layout ?? identity(shape.length);
  l.bind(
    out,
    l.reshaped(
      from,
      outLayout.map((axis) => shape[axis]),
    ),
    outLayout,
  );
};

const transpose: Lower = (l, node) => {
  const perm = node.attrs.perm as number[];
  const [x] = node.inputs;
  const { name, layout } = l.native(x);
  l.bind(
    node.outputs[0],
    name,
    layout.map((axis) => perm.indexOf(axis)),
  );
};

const concat: Lower = (l, node) => {
  const [out] = node.outputs;
  const { shape } = l.value(out);
  const axis = normalizeAxes(node.attrs.axis, shape.length)[0];
  const layout = commonLayout(l, node.inputs, shape);
  const names = node.inputs.map((id) => l.as(id, layout).name);
  l.bind(
    out,
    names.length === 1 ? names[0] : l.emit('Concat', names, { axis: layout.indexOf(axis) }),
    layout,
  );
};

const pack: Lower = (l, node) => {
  const [out] = node.outputs;
  const { shape } = l.value(out);
  const axis = node.attrs.axis as number;
  const at = axis < 0 ? axis + shape.length : axis;
  const names = node.inputs.map((id) => l.emit('Unsqueeze', [l.plain(id).name, l.ints([at])]));
  l.bind(out, l.emit('Concat', names, { axis: at }), identity(shape.length));
};

const split: Lower = (l, node) => {
  const [x] = node.inputs;
  const { shape } = l.value(x);
  const axis = normalizeAxes(node.attrs.axis, shape.length)[0];
  const { name, layout } = l.native(x);
  const sizes = tf.backend_util.prepareSplitSize(
    { shape } as never,
    node.attrs.numOrSizeSplits as number[],
    axis,
  );
  const made = l.emitMany('Split', [name, l.ints(sizes)], { axis: layout.indexOf(axis) }, sizes.length);
  node.outputs.forEach((id, i) => {
    l.bind(id, made[i], layout);
  });
};

const unpack: Lower = (l, node) => {
  const { name, layout } = l.native(node.inputs[0]);
  const { shape } = l.value(node.inputs[0]);
  const axis = normalizeAxes(node.attrs.axis, shape.length)[0];
  const dim = layout.indexOf(axis);
  const rest = layout.filter((a) => a !== axis).map((a) => (a > axis ? a - 1 : a));
  node.outputs.forEach((id, i) => {
    const index = l.initializer('int64', [], BigInt64Array.of(BigInt(i)));
    l.bind(id, l.emit('Gather', [name, index], { axis: dim }), rest);
  });
};

const slice: Lower = (l, node) => {
  const [x] = node.inputs;
  const { shape } = l.value(x);
  const { begin, size } = sliceBounds(shape, node.attrs);
  const { name, layout } = l.native(x);
  const cut = identity(shape.length).filter((axis) => size[axis] !== shape[axis]);
  const made = l.emit('Slice', [
    name,
    l.ints(cut.map((axis) => begin[axis])),
    l.ints(cut.map((axis) => begin[axis] + size[axis])),
    l.ints(cut.map((axis) => layout.indexOf(axis))),
  ]);
  l.bind(node.outputs[0], made, layout);
};

const pad: Lower = (l, node) => {
  const [x] = node.inputs;
  const { name, layout } = l.native(x);
  const paddings = node.attrs.paddings as number[][];
  const pads = [...layout.map((axis) => paddings[axis][0]), ...layout.map((axis) => paddings[axis][1])];
  const fill = l.scalar((node.attrs.constantValue as number | undefined) ?? 0, l.value(x).dtype);
  l.bind(node.outputs[0], l.emit('Pad', [name, l.ints(pads), fill]), layout);
};

const tile: Lower = (l, node) => {
  const { name, layout } = l.native(node.inputs[0]);
  const reps = node.attrs.reps as number[];
  l.bind(node.outputs[0], l.emit('Tile', [name, l.ints(layout.map((axis) => reps[axis]))]), layout);
};

const broadcastTo: Lower = (l, node) => {
  const [x] = node.inputs;
  const [out] = node.outputs;
  const { shape } = l.value(out);
  const layout = l.value(x).shape.length === shape.length ? l.native(x).layout : identity(shape.length);
  const name = l.operand(x, shape.length, layout);
  l.bind(out, l.emit('Expand', [name, l.ints(layout.map((axis) => shape[axis]))]), layout);
};

const reverse: Lower = (l, node) => {
  const [x] = node.inputs;
  const { shape } = l.value(x);
  const { name, layout } = l.native(x);
  const dims = normalizeAxes(node.attrs.dims, shape.length).map((axis) => layout.indexOf(axis));
  const last = l.ints(dims.map(() => -1));
  const beyond = l.ints(dims.map(() => -(2 ** 31)));
  l.bind(node.outputs[0], l.emit('Slice', [name, last, beyond, l.ints(dims), last]), layout);
};

const gather: Lower = (l, node) => {
  const [x, indices] = node.inputs;
  const { shape } = l.value(x);
  const axis = normalizeAxes(node.attrs.axis, shape.length)[0];
  const name = l.emit('Gather', [l.plain(x).name, l.plain(indices).name], { axis });
  l.bind(node.outputs[0], name, identity(l.value(node.outputs[0]).shape.length));
};

/** One-hot rows of 0 and 1; ONNX Runtime has the kernel for int64 indices and float results. */
export function oneHotRows(l: Lowering, indices: string, depth: number, off = 0, on = 1): string {
  const wide = l.emit('Cast', [indices], { to: ElementType.int64 });
  return l.emit('OneHot', [wide, l.ints([depth]), l.initializer('float32', [2], Float32Array.of(off, on))], {
    axis: -1,
  });
}

const oneHot: Lower = (l, node) => {
  const { depth, onValue, offValue } = node.attrs as { depth: number; onValue: number; offValue: number };
  const [out] = node.outputs;
  const { dtype, shape } = l.value(out);
  const hot = oneHotRows(l, l.plain(node.inputs[0]).name, depth, offValue, onValue);
  const made = dtype === 'float32' ? hot : l.emit('Cast', [hot], { to: ElementType[dtype] });
  l.bind(out, made, identity(shape.length));
};

export const movementLowerings: Record<string, Lower> = {
  Reshape: reshape,
  Transpose: transpose,
  Concat: concat,
  Pack: pack,
  Unpack: unpack,
  SplitV: split,
  Slice: slice,
  PadV2: pad,
  Tile: tile,
  BroadcastTo: broadcastTo,
  Reverse: reverse,
  GatherV2: gather,
  OneHot: oneHot,
};
