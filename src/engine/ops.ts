/**
 * The operations that Sumi's networks are written in. Everything is channels-last ([N, H, W, C], as tfjs has
 * it), parameters are in diffusers' shapes (convolutions OIHW, linear [out, in]), and every operation is
 * differentiable on every backend. Where one ONNX node does the work of several tfjs kernels, the operation is
 * a kernel of its own under the tracer and the plain tfjs composition elsewhere.
 */
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, type Tensor4D, tf } from './tf.js';

/** Name of the tracing backend (see tracer.ts): the only one that has the kernels named in `fused`. */
export const TRACE_BACKEND = 'sumi-trace';

/** Kernels that only the tracer knows. */
export const fused = {
  groupNorm: 'SumiGroupNorm',
  layerNorm: 'SumiLayerNorm',
  silu: 'SumiSilu',
  upsample2x: 'SumiUpsample2x',
  sumPool2x: 'SumiSumPool2x',
} as const;

const tracing = () => tf.getBackend() === TRACE_BACKEND;

function run<T extends Tensor>(
  kernel: string,
  inputs: Record<string, Tensor>,
  attrs: Record<string, unknown>,
): T {
  return tf.engine().runKernel(kernel, inputs, attrs as never) as unknown as T;
}

/** Rows and columns of zeros around a picture: one number for all sides, or [[top, bottom], [left, right]]. */
export type Padding = number | readonly [readonly [number, number], readonly [number, number]];

function explicitPadding(
  p: Padding,
): [[number, number], [number, number], [number, number], [number, number]] {
  const [[top, bottom], [left, right]] =
    typeof p === 'number'
      ? [
          [p, p],
          [p, p],
        ]
      : p;
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}

/**
 * tfjs's convolution, with zeros around the pictures. tfjs-node has no gradients under explicit padding: there the zeros
 * are laid around first.
 * @param filter [kh, kw, I, O]
 */
export function convolve(x: Tensor4D, filter: Tensor4D, stride: number, padding: Padding): Tensor4D {
  const pads = explicitPadding(padding);
  const padded = tf.getBackend() === 'tensorflow' && pads.flat().some((p) => p > 0);
  return padded ? tf.conv2d(tf.pad(x, pads), filter, stride, 'valid') : tf.conv2d(x, filter, stride, pads);
}

/**
 * Convolution (PyTorch's Conv2d, no dilation, one group).
 * @param x [N, H, W, I]
 * @param w [O, I, kh, kw]
 * @param b [O] or null
 * @returns [N, H', W', O]
 */
export function conv2d(
  x: Tensor4D,
  w: Tensor4D,
  b: Tensor1D | null,
  { stride = 1, padding = 0 }: { stride?: number; padding?: Padding } = {},
): Tensor4D {
  const y = convolve(x, tf.transpose(w, [2, 3, 1, 0]), stride, padding);
  return b ? tf.add(y, b) : y;
}

/**
 * Transposed convolution with kernel = stride or larger and no padding (PyTorch's ConvTranspose2d).
 * @param x [N, H, W, I]
 * @param w [I, O, kh, kw]
 * @param b [O] or null
 * @returns [N, (H-1)*stride+kh, (W-1)*stride+kw, O]
 */
export function convTranspose2d(x: Tensor4D, w: Tensor4D, b: Tensor1D | null, stride: number): Tensor4D {
  const [n, h, width] = x.shape;
  const [, out, kh, kw] = w.shape;
  const filter = tf.transpose(w, [2, 3, 1, 0]); // tfjs wants [kh, kw, O, I]
  const y = tf.conv2dTranspose(
    x,
    filter,
    [n, (h - 1) * stride + kh, (width - 1) * stride + kw, out],
    stride,
    'valid',
  );
  return b ? tf.add(y, b) : y;
}

/**
 * Fully connected layer on the last axis (PyTorch's Linear).
 * @param x [..., I]
 * @param w [O, I]
 * @param b [O] or null
 * @returns [..., O]
 */
export function linear<T extends Tensor>(x: T, w: Tensor2D, b: Tensor1D | null): T {
  const [out, inp] = w.shape;
  const rows = tf.reshape(x, [-1, inp]);
  const y = tf.matMul(rows, w, false, true);
  const biased = b ? tf.add(y, b) : y;
  return tf.reshape(biased, [...x.shape.slice(0, -1), out]) as T;
}

/** x·sigmoid(x) (Swish; Ramachandran et al. 2017). */
export function silu<T extends Tensor>(x: T): T {
  const op = tf.customGrad((input, save) => {
    const a = input as Tensor;
    const value = tracing() ? run<Tensor>(fused.silu, { x: a }, {}) : tf.mul(a, tf.sigmoid(a));
    (save as (t: Tensor[]) => void)([a, value]);
    return {
      value,
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [u, y] = saved;
        // d(uσ)/du = σ + uσ(1-σ) = y + σ·(1-y)
        return tf.mul(dy, tf.add(y, tf.mul(tf.sigmoid(u), tf.sub(1, y))));
      },
    };
  });
  return op(x) as T;
}

/** max(x, 0), with a gradient from the result, so that x need not be kept. */
export function relu<T extends Tensor>(x: T): T {
  const op = tf.customGrad((input, save) => {
    const value = tf.relu(input as Tensor);
    (save as (t: Tensor[]) => void)([value]);
    return { value, gradFunc: (dy: Tensor, [y]: Tensor[]) => tf.mul(dy, tf.step(y)) };
  });
  return op(x) as T;
}

/**
 * Batch normalization by the batch's own statistics (Ioffe & Szegedy 2015), whose variance is the biased one.
 * @param x [N, ..., C]
 * @param gamma [C]
 * @param beta [C]
 */
export function batchNorm<T extends Tensor>(x: T, gamma: Tensor1D, beta: Tensor1D, eps: number): T {
  const axes = x.shape.slice(0, -1).map((_, i) => i);
  const mean = (t: Tensor) => tf.mean(t, axes);
  /** The centred input and, for each channel, one over its standard deviation. */
  const normalize = (a: Tensor) => {
    const centred = tf.sub(a, mean(a));
    return { centred, rstd: tf.rsqrt(tf.add(mean(tf.square(centred)), eps)) };
  };
  const op = tf.customGrad((input, scale, shift, save) => {
    const [a, g, b] = [input, scale, shift] as Tensor[];
    (save as (t: Tensor[]) => void)([a, g]);
    const { centred, rstd } = normalize(a);
    return {
      value: tf.add(tf.mul(centred, tf.mul(rstd, g)), b),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const { centred, rstd } = normalize(saved[0]);
        const pixels = dy.size / dy.shape[dy.shape.length - 1];
        const sum = tf.sum(dy, axes);
        const dot = tf.mul(tf.sum(tf.mul(dy, centred), axes), rstd); // Σ dy·x̂
        // dx = γ·σ⁻¹·(dy - mean(dy) - x̂·mean(dy·x̂))
        const weight = tf.mul(rstd, saved[1]);
        const slope = tf.mul(tf.mul(weight, rstd), tf.div(dot, pixels));
        const level = tf.mul(weight, tf.div(sum, pixels));
        const dx = tf.sub(tf.sub(tf.mul(dy, weight), tf.mul(centred, slope)), level);
        return [dx, dot, sum];
      },
    };
  });
  return op(x, gamma, beta) as T;
}

/**
 * Group normalization (Wu & He 2018) with an affine transform per channel.
 * @param x [N, ..., C], C divisible by `groups`
 * @param gamma [C]
 * @param beta [C]
 */
export function groupNorm<T extends Tensor>(
  x: T,
  gamma: Tensor1D,
  beta: Tensor1D,
  groups: number,
  eps: number,
): T {
  const c = x.shape[x.shape.length - 1];
  const n = x.shape[0];
  const pixels = x.size / (n * c);
  const perGroup = (t: Tensor) => tf.mean(tf.reshape(t, [n, groups, c / groups]), 2, true); // [N, G, 1]
  const perChannel = (t: Tensor) => tf.reshape(tf.tile(t, [1, 1, c / groups]), [n, 1, c]); // [N, 1, C]
  /** The centred input and, for each channel, one over its group's standard deviation. */
  const normalize = (a: Tensor) => {
    const flat = tf.reshape(a, [n, pixels, c]);
    const centred = tf.sub(flat, perChannel(perGroup(tf.mean(flat, 1)))); // [N, P, C]
    const variance = perGroup(tf.mean(tf.square(centred), 1));
    return { centred, rstd: perChannel(tf.rsqrt(tf.add(variance, eps))) };
  };
  const op = tf.customGrad((input, scale, shift, save) => {
    const [a, g, b] = [input, scale, shift] as Tensor[];
    (save as (t: Tensor[]) => void)([a, g]);
    const plain = () => {
      const { centred, rstd } = normalize(a);
      return tf.reshape(tf.add(tf.mul(centred, tf.mul(rstd, g)), b), x.shape);
    };
    return {
      value: tracing() ? run<Tensor>(fused.groupNorm, { x: a, gamma: g, beta: b }, { groups, eps }) : plain(),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const { centred, rstd } = normalize(saved[0]);
        const flat = tf.reshape(dy, [n, pixels, c]);
        // Everything but three passes over the pixels is done on sums per channel, [N, 1, C].
        const sum = tf.sum(flat, 1, true);
        const dot = tf.mul(tf.sum(tf.mul(flat, centred), 1, true), rstd); // Σ dy·x̂
        const weighted = tf.mul(rstd, saved[1]);
        const m1 = perChannel(perGroup(tf.div(tf.mul(sum, saved[1]), pixels)));
        const m2 = perChannel(perGroup(tf.div(tf.mul(dot, saved[1]), pixels)));
        // dx = σ⁻¹·(γ·dy - mean(γ·dy) - x̂·mean(γ·dy·x̂))
        const slope = tf.mul(tf.square(rstd), m2);
        const dx = tf.sub(tf.sub(tf.mul(flat, weighted), tf.mul(centred, slope)), tf.mul(rstd, m1));
        return [tf.reshape(dx, x.shape), tf.sum(dot, [0, 1]), tf.sum(sum, [0, 1])];
      },
    };
  });
  return op(x, gamma, beta) as T;
}

/**
 * Layer normalization over the last axis (Ba, Kiros & Hinton 2016).
 * @param x [..., C]
 * @param gamma [C]
 * @param beta [C]
 */
export function layerNorm<T extends Tensor>(x: T, gamma: Tensor1D, beta: Tensor1D, eps: number): T {
  const c = x.shape[x.shape.length - 1];
  const mean = (t: Tensor) => tf.mean(t, -1, true);
  /** The normalized input, and one over the standard deviation of each row. */
  const normalize = (a: Tensor) => {
    const centred = tf.sub(a, mean(a));
    const rstd = tf.rsqrt(tf.add(mean(tf.square(centred)), eps));
    return { normal: tf.mul(centred, rstd), rstd };
  };
  const op = tf.customGrad((input, scale, shift, save) => {
    const [a, g, b] = [input, scale, shift] as Tensor[];
    (save as (t: Tensor[]) => void)([a, g]);
    return {
      value: tracing()
        ? run<Tensor>(fused.layerNorm, { x: a, gamma: g, beta: b }, { eps })
        : tf.add(tf.mul(normalize(a).normal, g), b),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const { normal, rstd } = normalize(saved[0]);
        const weighted = tf.mul(dy, saved[1]);
        // dx = σ⁻¹·(γ·dy - mean(γ·dy) - x̂·mean(γ·dy·x̂))
        const slope = mean(tf.mul(weighted, normal));
        const dx = tf.mul(tf.sub(tf.sub(weighted, mean(weighted)), tf.mul(normal, slope)), rstd);
        const perChannel = (t: Tensor) => tf.sum(tf.reshape(t, [-1, c]), 0);
        return [dx, perChannel(tf.mul(dy, normal)), perChannel(dy)];
      },
    };
  });
  return op(x, gamma, beta) as T;
}

function repeat2x(x: Tensor4D): Tensor4D {
  const [n, h, w, c] = x.shape;
  if (tracing()) return run(fused.upsample2x, { x }, {});
  const wide = tf.tile(tf.reshape(x, [n, h, 1, w, 1, c]), [1, 1, 2, 1, 2, 1]);
  return tf.reshape(wide, [n, h * 2, w * 2, c]);
}

function sumPool2x(x: Tensor4D): Tensor4D {
  const [n, h, w, c] = x.shape;
  if (tracing()) return run(fused.sumPool2x, { x }, {});
  return tf.sum(tf.reshape(x, [n, h / 2, 2, w / 2, 2, c]), [2, 4]);
}

/**
 * Nearest-neighbour upsampling by two: every pixel becomes a 2×2 block.
 * @param x [N, H, W, C]
 * @returns [N, 2H, 2W, C]
 */
export function upsample2x(x: Tensor4D): Tensor4D {
  return tf.customGrad((input) => ({
    value: repeat2x(input as Tensor4D),
    gradFunc: (dy: Tensor) => sumPool2x(dy as Tensor4D),
  }))(x) as Tensor4D;
}

/**
 * Mean of every 2×2 block.
 * @param x [N, H, W, C], H and W even
 * @returns [N, H/2, W/2, C]
 */
export function avgPool2x(x: Tensor4D): Tensor4D {
  return tf.customGrad((input) => ({
    value: tf.mul(sumPool2x(input as Tensor4D), 0.25),
    gradFunc: (dy: Tensor) => tf.mul(repeat2x(dy as Tensor4D), 0.25),
  }))(x) as Tensor4D;
}

/**
 * Scaled dot-product attention, softmax(q·kᵀ·scale + mask)·v (Vaswani et al. 2017, eq. 1).
 * @param q [B, T, D] (heads folded into the batch)
 * @param k [B, S, D]
 * @param v [B, S, E]
 * @param mask [T, S], far below 0 where a query must not look; null: it looks everywhere
 * @returns [B, T, E]
 */
export function attention(
  q: Tensor3D,
  k: Tensor3D,
  v: Tensor3D,
  scale: number,
  mask: Tensor2D | null = null,
): Tensor3D {
  const scores = tf.mul(tf.matMul(q, k, false, true), scale);
  return tf.matMul(tf.softmax(mask ? tf.add(scores, mask) : scores), v) as Tensor3D;
}
