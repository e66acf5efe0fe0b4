/**
 * EfficientNet-Lite0 without its classifier, as an ONNX graph for ONNX Runtime: an inverted-residual network
 * (Tan & Le, "EfficientNet", ICML 2019; the Lite variant has no squeeze-and-excitation and ReLU6 throughout), its
 * batch norms folded into the convolutions (tools/features/convert.py).
 */
import type { Initializer, OnnxModel, OnnxNode } from '../engine/onnx.js';

/** Side of the pictures that the network was trained on. */
export const SIDE = 224;

/** Kernel, stride, factor of the widening and output channels of each block. */
const blocks: readonly (readonly [kernel: number, stride: number, expand: boolean])[] = [
  [3, 1, false],
  [3, 2, true],
  [3, 1, true],
  [5, 2, true],
  [5, 1, true],
  [3, 2, true],
  [3, 1, true],
  [3, 1, true],
  [5, 1, true],
  [5, 1, true],
  [5, 1, true],
  [5, 2, true],
  [5, 1, true],
  [5, 1, true],
  [5, 1, true],
  [3, 1, true],
];

/** The last block at each size of the picture (1/2 … 1/32) and the network's end: where activations can be seen. */
export const TAPS: readonly number[] = [0, 2, 4, 10, 15];

export interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * @param weights by name, convolutions OIHW
 * @returns a graph of `picture` [n, 3, 224, 224] in about [-1, 1]: output `features` [n, 320] is the last block
 *   averaged over the picture, and with `taps` outputs `tap0` … are activations [n, C, H, W]
 */
export function featureNetwork(weights: ReadonlyMap<string, Weight>, taps: boolean): OnnxModel {
  const nodes: OnnxNode[] = [];
  const initializers: Initializer[] = [
    ...[...weights].map(([name, { shape, data }]) => ({ name, shape, data, type: 'float32' as const })),
    { name: 'zero', shape: [], type: 'float32', data: Float32Array.of(0) },
    { name: 'six', shape: [], type: 'float32', data: Float32Array.of(6) },
    { name: 'axes', shape: [2], type: 'int64', data: BigInt64Array.of(2n, 3n) },
  ];
  const emit = (
    op: string,
    inputs: readonly string[],
    attrs: OnnxNode['attrs'] = {},
    output = `x${nodes.length}`,
  ): string => {
    nodes.push({ op, domain: '', inputs, outputs: [output], attrs });
    return output;
  };
  let side = SIDE;
  const convolve = (x: string, name: string, kernel: number, stride: number, group = 1): string => {
    // TensorFlow's "same": what does not divide evenly goes below and to the right.
    const total = Math.max(0, (Math.ceil(side / stride) - 1) * stride + kernel - side);
    const [before, after] = [Math.floor(total / 2), Math.ceil(total / 2)];
    side = Math.ceil(side / stride);
    return emit('Conv', [x, `${name}.weight`, `${name}.bias`], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [before, before, after, after],
      group,
    });
  };
  const relu6 = (x: string) => emit('Clip', [x, 'zero', 'six']);
  const channels = (name: string, axis: number): number => weights.get(name)?.shape[axis] ?? 0;

  let x = relu6(convolve('picture', 'stem', 3, 2));
  const seen: string[] = [];
  blocks.forEach(([kernel, stride, expand], i) => {
    const at = `blocks.${i}`;
    const input = x;
    const width = channels(`${at}.depthwise.weight`, 0);
    if (expand) x = relu6(convolve(x, `${at}.expand`, 1, 1));
    x = relu6(convolve(x, `${at}.depthwise`, kernel, stride, width));
    x = convolve(x, `${at}.project`, 1, 1);
    const inputs = channels(expand ? `${at}.expand.weight` : `${at}.depthwise.weight`, expand ? 1 : 0);
    if (stride === 1 && inputs === channels(`${at}.project.weight`, 0)) x = emit('Add', [x, input]);
    if (TAPS.includes(i)) seen.push(x);
  });
  emit('ReduceMean', [x, 'axes'], { keepdims: 0 }, 'features');
  if (taps) seen.forEach((tap, k) => void emit('Identity', [tap], {}, `tap${k}`));
  const names = ['features', ...(taps ? seen.map((_, k) => `tap${k}`) : [])];
  return {
    nodes,
    initializers,
    inputs: [{ name: 'picture', shape: ['batch', 3, SIDE, SIDE], type: 'float32' }],
    outputs: names.map((name) => ({ name, shape: [], type: 'float32' as const })),
  };
}
