/** Convolutions, their gradients, pooling and resampling, in ONNX Runtime's channels-first layout. */
import type { Node } from '../graph.js';
import { convInfo, poolInfo } from '../shapes.js';
import { type Lowering, NCHW, OIHW } from './context.js';
import { product } from './matmul.js';
import { perChannel } from './reduce.js';
import type { Lower } from './table.js';
import { Winograd, winogradCost } from './winograd.js';

type Geometry = ReturnType<typeof convInfo>;

function pads({ padInfo: p }: { padInfo: Geometry['padInfo'] }): number[] {
  return [p.top, p.left, p.bottom, p.right];
}

function strides(g: { strideHeight: number; strideWidth: number }): number[] {
  return [g.strideHeight, g.strideWidth];
}

function dilations(g: Geometry): number[] {
  return [g.dilationHeight, g.dilationWidth];
}

/** Whether a filter visits every pixel and sees neighbours: no strides, no dilation. */
function isDense(g: Geometry): boolean {
  return g.strideHeight === 1 && g.strideWidth === 1 && g.dilationHeight === 1 && g.dilationWidth === 1;
}

/**
 * Shares of the direct way's multiplications below which Winograd's way was measured to be faster: for a filter that is
 * known (ONNX Runtime lays the direct way's data out in blocks), for one that is not, for the gradient of a filter, and
 * for that with strides, which the direct way pays with slices that skip.
 */
const WINOGRAD_PAYS = { known: 0.6, given: 0.95, gradient: 1.2, strided: 2.7 };

function byWinograd(l: Lowering, g: Geometry, filter: keyof typeof WINOGRAD_PAYS): Winograd | null {
  const fits = g.filterHeight === 3 && g.filterWidth === 3 && (isDense(g) || filter === 'strided');
  return !l.direct && fits && winogradCost(g) < WINOGRAD_PAYS[filter] ? new Winograd(l, g) : null;
}

const conv2d: Lower = (l, node) => {
  const [x, w, bias] = node.inputs;
  const g = convInfo(l.value(x).shape, l.value(w).shape, node.attrs);
  const [source, filter] = [l.as(x, NCHW).name, l.as(w, OIHW)];
  const winograd = byWinograd(l, g, filter.data ? 'known' : 'given');
  if (winograd) {
    const made = winograd.convolve(source, filter);
    const biased = bias === undefined ? made : l.emit('Add', [made, perChannel(l, bias, 4)]);
    l.bind(node.outputs[0], biased, NCHW);
    return;
  }
  const inputs = [source, filter.name];
  if (bias !== undefined) inputs.push(l.plain(bias).name);
  const attrs = {
    kernel_shape: [g.filterHeight, g.filterWidth],
    strides: strides(g),
    pads: pads(g),
    dilations: dilations(g),
  };
  l.bind(node.outputs[0], l.emit('Conv', inputs, attrs), NCHW);
};

/** Pixels of a picture up to which adding up a transposed convolution's overlaps costs less than turning its filter. */
const SMALL = 256;

/**
 * Gradient of a convolution's input. With stride 1 it is a convolution with the filter turned by half, input and output
 * channels swapped; otherwise, and for small pictures, ONNX's transposed convolution.
 */
const conv2dInput: Lower = (l, node) => {
  const [dy, w] = node.inputs;
  const inputShape = node.attrs.inputShape as number[];
  const g = convInfo(inputShape, l.value(w).shape, node.attrs);
  const source = l.as(dy, NCHW).name;
  const filter = l.as(w, OIHW);
  const kernel = [g.filterHeight, g.filterWidth];
  const { padInfo: p } = g;
  const fits = p.top < kernel[0] && p.left < kernel[1] && p.bottom < kernel[0] && p.right < kernel[1];
  const winograd = byWinograd(l, g, 'given');
  const small = !l.direct && g.outHeight * g.outWidth <= SMALL && kernel[0] * kernel[1] > 1;
  let made: string;
  if (winograd) {
    made = winograd.inputGradient(source, filter);
  } else if (isDense(g) && fits && !small) {
    const swapped = l.emit('Transpose', [halfTurned(l, filter.name, g)], { perm: [1, 0, 2, 3] });
    made = l.emit('Conv', [source, swapped], {
      kernel_shape: kernel,
      pads: [
        kernel[0] - 1 - p.top,
        kernel[1] - 1 - p.left,
        kernel[0] - 1 - p.bottom,
        kernel[1] - 1 - p.right,
      ],
    });
  } else {
    const reach = (out: number, stride: number, k: number, d: number) => (out - 1) * stride + d * (k - 1) + 1;
    made = l.emit('ConvTranspose', [source, filter.name], {
      kernel_shape: kernel,
      strides: strides(g),
      dilations: dilations(g),
      pads: pads(g),
      output_padding: [
        inputShape[1] + p.top + p.bottom - reach(g.outHeight, g.strideHeight, kernel[0], g.dilationHeight),
        inputShape[2] + p.left + p.right - reach(g.outWidth, g.strideWidth, kernel[1], g.dilationWidth),
      ],
    });
  }
  l.bind(node.outputs[0], made, NCHW);
};

/** A filter [O, I, kh, kw] backwards in both directions, by a product: slices with negative steps are five times slower. */
function halfTurned(l: Lowering, filter: string, g: Geometry): string {
  const { inChannels: ci, outChannels: co, filterHeight: kh, filterWidth: kw } = g;
  const taps = kh * kw;
  if (taps === 1) return filter;
  return l.reshape(l.emit('MatMul', [l.reshape(filter, [co * ci, taps]), unit(l, taps, true)]), [
    co,
    ci,
    kh,
    kw,
  ]);
}

/**
 * Gradient of the filter, one product per filter tap: dW[tap] = dy·(x shifted by tap)ᵀ over all pixels of all
 * samples. Both are held channels-outermost, [C, N, pixels], so that a product sums over the whole batch at once.
 */
const conv2dFilter: Lower = (l, node) => {
  const [x, dy] = node.inputs;
  const [out] = node.outputs;
  const g = convInfo(l.value(x).shape, l.value(out).shape, node.attrs);
  const strided = g.strideHeight * g.strideWidth > 1 && g.dilationHeight * g.dilationWidth === 1;
  const winograd = byWinograd(l, g, strided ? 'strided' : 'gradient');
  if (winograd) {
    l.bind(out, winograd.filterGradient(l.as(x, NCHW).name, l.as(dy, NCHW).name), OIHW);
    return;
  }
  const { inChannels: ci, outChannels: co } = g;
  const [kh, kw] = [g.filterHeight, g.filterWidth];
  const source = channelsOutermost(l, x);
  const grad = channelsOutermost(l, dy);
  const sameSize = isDense(g) && g.outHeight === g.inHeight && g.outWidth === g.inWidth;
  const taps = sameSize ? shiftedTaps(l, source, grad, g) : slicedTaps(l, source, grad, g);
  const lastly = taps.length === 1 ? [co, ci] : [co * ci, kh * kw];
  l.bind(out, l.reshape(tapsLast(l, taps, co * ci), [co, ci, kh, kw], lastly), OIHW);
};

/** Turns [O, I] of each tap into [O·I, taps], by a product with the identity: a transpose takes four times as long. */
function tapsLast(l: Lowering, taps: readonly string[], count: number): string {
  if (taps.length === 1) return taps[0];
  const rows = l.reshape(l.emit('Concat', taps, { axis: 0 }), [taps.length, count]);
  return product(l, rows, unit(l, taps.length), true, false);
}

/** The identity matrix, or its mirror image, which reverses. */
function unit(l: Lowering, size: number, mirrored = false): string {
  return l.memo(`unit ${size} ${mirrored}`, () => {
    const data = Float32Array.from({ length: size ** 2 }, (_, i) => {
      const [row, column] = [Math.floor(i / size), i % size];
      return column === (mirrored ? size - 1 - row : row) ? 1 : 0;
    });
    return l.initializer('float32', [size, size], data);
  });
}

/**
 * Where x and dy are of one size, a tap (i, j) moves x sideways by j and dy up by i, with zeros behind: kh + kw moved
 * copies serve all kh·kw products, and no product has padding in it.
 */
function shiftedTaps(l: Lowering, x: string, dy: string, g: Geometry): string[] {
  const { batchSize: n, inChannels: ci, outChannels: co, inHeight: h, inWidth: w } = g;
  const length = n * h * w;
  const columns = Array.from({ length: g.filterWidth }, (_, j) => {
    const left = g.padInfo.left - j;
    const moved = left === 0 ? x : l.emit('Pad', [x, l.ints([0, 0, 0, left, 0, 0, 0, -left])]);
    return l.reshape(moved, [ci, length]);
  });
  const flat = l.reshape(dy, [co, n, h * w]);
  const rows = Array.from({ length: g.filterHeight }, (_, i) => {
    const down = (i - g.padInfo.top) * w;
    const moved = down === 0 ? flat : l.emit('Pad', [flat, l.ints([0, 0, down, 0, 0, -down])]);
    return l.reshape(moved, [co, length]);
  });
  return rows.flatMap((row) => columns.map((column) => product(l, row, column, false, true)));
}

function slicedTaps(l: Lowering, x: string, dy: string, g: Geometry): string[] {
  const { batchSize: n, inChannels: ci, outChannels: co, outHeight: oh, outWidth: ow } = g;
  const { top, left, bottom, right } = g.padInfo;
  const padded =
    top || left || bottom || right ? l.emit('Pad', [x, l.ints([0, 0, top, left, 0, 0, bottom, right])]) : x;
  const rows = l.reshape(dy, [co, n * oh * ow]);
  const taps: string[] = [];
  for (let i = 0; i < g.filterHeight; i++) {
    for (let j = 0; j < g.filterWidth; j++) {
      const [y, z] = [i * g.dilationHeight, j * g.dilationWidth];
      const ends = [y + (oh - 1) * g.strideHeight + 1, z + (ow - 1) * g.strideWidth + 1];
      const view = l.emit('Slice', [
        padded,
        l.ints([y, z]),
        l.ints(ends),
        l.ints([2, 3]),
        l.ints(strides(g)),
      ]);
      taps.push(product(l, rows, l.reshape(view, [ci, n * oh * ow]), false, true));
    }
  }
  return taps;
}

/** An [N, H, W, C] value held as C, N, H, W. */
function channelsOutermost(l: Lowering, id: number): string {
  return l.as(id, [3, 0, 1, 2]).name;
}

function poolAttrs(g: Geometry): Record<string, readonly number[]> {
  return {
    kernel_shape: [g.effectiveFilterHeight, g.effectiveFilterWidth],
    strides: strides(g),
    pads: pads(g),
  };
}

const maxPool: Lower = (l, node) => {
  const [x] = node.inputs;
  const g = poolInfo(l.value(x).shape, node.attrs);
  l.bind(node.outputs[0], l.emit('MaxPool', [l.as(x, NCHW).name], poolAttrs(g)), NCHW);
};

const avgPool: Lower = (l, node) => {
  const [x] = node.inputs;
  const g = poolInfo(l.value(x).shape, node.attrs);
  l.bind(node.outputs[0], l.emit('AveragePool', [l.as(x, NCHW).name], poolAttrs(g)), NCHW);
};

/** The gradient goes to the element that was the maximum (the first of equals). */
const maxPoolGrad: Lower = (l, node) => {
  const [dy, x] = node.inputs;
  const { shape } = l.value(x);
  const g = poolInfo(shape, node.attrs);
  const [, indices] = l.emitMany('MaxPool', [l.as(x, NCHW).name], poolAttrs(g), 2);
  const total = shape.reduce((a, b) => a * b, 1);
  const zeros = l.emit('Expand', [l.scalar(0), l.ints([total])]);
  const flat = l.emit(
    'ScatterElements',
    [zeros, l.reshape(indices, [-1]), l.reshape(l.as(dy, NCHW).name, [-1])],
    {
      axis: 0,
      reduction: 'add',
    },
  );
  l.bind(
    node.outputs[0],
    l.reshape(
      flat,
      NCHW.map((axis) => shape[axis]),
    ),
    NCHW,
  );
};

function resize(l: Lowering, x: number, out: number, attrs: Record<string, string>): void {
  const [, h, w] = l.value(out).shape;
  const [n, , , c] = l.value(x).shape;
  l.bind(out, l.emit('Resize', [l.as(x, NCHW).name, '', '', l.ints([n, c, h, w])], attrs), NCHW);
}

const upsample2x: Lower = (l, node) =>
  resize(l, node.inputs[0], node.outputs[0], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  });

const resizeBilinear: Lower = (l, node: Node) => {
  const { alignCorners, halfPixelCenters } = node.attrs as {
    alignCorners: boolean;
    halfPixelCenters: boolean;
  };
  resize(l, node.inputs[0], node.outputs[0], {
    mode: 'linear',
    coordinate_transformation_mode: alignCorners
      ? 'align_corners'
      : halfPixelCenters
        ? 'half_pixel'
        : 'asymmetric',
  });
};

const sumPool2x: Lower = (l, node) => {
  const mean = l.emit('AveragePool', [l.as(node.inputs[0], NCHW).name], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  l.bind(node.outputs[0], l.emit('Mul', [mean, l.scalar(4)]), NCHW);
};

export const convolutionLowerings: Record<string, Lower> = {
  Conv2D: conv2d,
  Conv2DBackpropInput: conv2dInput,
  Conv2DBackpropFilter: conv2dFilter,
  MaxPool: maxPool,
  AvgPool: avgPool,
  MaxPoolGrad: maxPoolGrad,
  ResizeBilinear: resizeBilinear,
  SumiUpsample2x: upsample2x,
  SumiSumPool2x: sumPool2x,
};
