/** Convolutions in 8-bit integers: pictures unfolded to rows of bytes, one product with float32 results. */
import { constantData, type TypedArray } from '../graph.js';
import { INT8_CONVOLUTION } from '../quantize.js';
import { convInfo } from '../shapes.js';
import { equal, identity, type Lowering, permuteData } from './context.js';
import type { Lower } from './table.js';

type Geometry = ReturnType<typeof convInfo>;

/** [kh, kw, I, O] in whole numbers up to ±127, and what one of them stands for, by output channel. */
function quantizedFilter(filter: TypedArray, outputs: number): { bytes: Int8Array; scales: Float32Array } {
  const largest = new Float32Array(outputs);
  filter.forEach((w, i) => {
    largest[i % outputs] = Math.max(largest[i % outputs], Math.abs(w));
  });
  const scales = largest.map((a) => (a === 0 ? 1 : a / 127));
  return { bytes: Int8Array.from(filter, (w, i) => Math.round(w / scales[i % outputs])), scales };
}

/** SiLU is nowhere below this. */
const LEAST_SILU = 0.2785;

/** The byte that stands for 0: SiLU's results need few below it. */
const zeroByte = (afterSilu: boolean): number => (afterSilu ? 32 : 128);

/**
 * What a byte stands for, for each picture, so that its largest number fits.
 * @returns [N]
 */
function scalesOf(l: Lowering, x: string, axes: readonly number[], afterSilu: boolean): string {
  const size = afterSilu ? x : l.emit('Abs', [x]);
  const largest = l.emit('ReduceMax', [size, l.ints(axes)], { keepdims: 0 });
  const zero = zeroByte(afterSilu);
  const scaled = l.emit('Mul', [largest, l.scalar(1 / (255 - zero))]);
  return l.emit('Max', [scaled, l.scalar(afterSilu ? LEAST_SILU / zero : 1e-30)]);
}

/** [N, H, W, I] as rows of what the filter sees, [N, H', W', kh·kw·I]. */
function unfolded(l: Lowering, x: string, g: Geometry, zero: string): string {
  const { top, left, bottom, right } = g.padInfo;
  const [sh, sw] = [g.strideHeight, g.strideWidth];
  const pads = l.ints([0, top, left, 0, 0, bottom, right, 0]);
  const padded = top || left || bottom || right ? l.emit('Pad', [x, pads, zero]) : x;
  if (g.filterHeight * g.filterWidth * sh * sw === 1) return padded;
  const taps: string[] = [];
  for (let i = 0; i < g.filterHeight; i++) {
    for (let j = 0; j < g.filterWidth; j++) {
      const ends = [i + (g.outHeight - 1) * sh + 1, j + (g.outWidth - 1) * sw + 1];
      taps.push(l.emit('Slice', [padded, l.ints([i, j]), l.ints(ends), l.ints([1, 2]), l.ints([sh, sw])]));
    }
  }
  return taps.length === 1 ? taps[0] : l.emit('Concat', taps, { axis: 3 });
}

const convolution: Lower = (l, node) => {
  const [x, w, bias] = node.inputs;
  const { shape } = l.value(x);
  const { afterSilu, filterAxes } = node.attrs as { afterSilu: boolean; filterAxes: number[] };
  const held = l.value(w);
  const filter = permuteData(constantData(held), held.shape, filterAxes); // [kh, kw, I, O]
  const g = convInfo(
    shape,
    filterAxes.map((axis) => held.shape[axis]),
    node.attrs,
  );
  const { name, layout } = l.native(x);
  const batch = layout.indexOf(0);
  const scales = scalesOf(
    l,
    name,
    identity(4).filter((axis) => axis !== batch),
    afterSilu,
  );
  const zero = zeroByte(afterSilu);
  const zeros = l.initializer('uint8', [shape[0]], new Uint8Array(shape[0]).fill(zero));
  const quantized = l.emit('QuantizeLinear', [name, scales, zeros], { axis: batch });
  const perm = identity(4).map((axis) => layout.indexOf(axis));
  const pixels = equal(perm, identity(4)) ? quantized : l.emit('Transpose', [quantized], { perm });
  const zeroPoint = l.initializer('uint8', [], Uint8Array.of(zero));
  const rows = unfolded(l, pixels, g, zeroPoint);
  const { bytes, scales: filterScales } = quantizedFilter(filter, g.outChannels);
  const inner = bytes.length / g.outChannels;
  const product = l.emit(
    'MatMulIntegerToFloat',
    [
      rows,
      l.initializer('int8', [inner, g.outChannels], bytes),
      l.scalar(1),
      l.initializer('float32', [g.outChannels], filterScales),
      zeroPoint,
    ],
    {},
    'com.microsoft',
  );
  const scaled = l.emit('Mul', [product, l.reshape(scales, [shape[0], 1, 1, 1])]);
  const made = bias === undefined ? scaled : l.emit('Add', [scaled, l.plain(bias).name]);
  l.bind(node.outputs[0], made, identity(4));
};

export const quantizedLowerings: Record<string, Lower> = { [INT8_CONVOLUTION]: convolution };
