/** Halving and doubling without weights. */
import { convolve, upsample2x } from '../engine/ops.js';
import { type Tensor4D, tf } from '../engine/tf.js';

/** Separable low-pass filter [1, 3, 3, 1] of StyleGAN2 (Karras et al. 2020) and score SDEs, along one side. */
const FILTER = [1, 3, 3, 1];

/** The filter over both sides, its sum `gain`: [4, 4, 1, 1]. */
function firKernel(gain: number): Tensor4D {
  const sum = FILTER.reduce((a, b) => a + b) ** 2;
  const taps = FILTER.flatMap((a) => FILTER.map((b) => (a * b * gain) / sum));
  return tf.tensor4d(taps, [4, 4, 1, 1]);
}

/** Runs `f` on each channel as a picture of its own: it maps [N·C, H, W, 1] to [N·C, H', W', 1]. */
function perChannel(x: Tensor4D, f: (planes: Tensor4D) => Tensor4D): Tensor4D {
  const [n, h, w, c] = x.shape;
  const planes = f(tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [n * c, h, w, 1]));
  const [, height, width] = planes.shape;
  return tf.transpose(tf.reshape(planes, [n, c, height, width]), [0, 2, 3, 1]);
}

/**
 * Low-pass filtering by [1, 3, 3, 1], then every second pixel (Song et al. 2021, "Score-based generative modeling
 * through SDEs", appendix H: anti-aliased resampling). What lies outside the picture counts as zero.
 * @param x [N, H, W, C], H and W even
 * @returns [N, H/2, W/2, C]
 */
export function firDownsample2x(x: Tensor4D): Tensor4D {
  return tf.tidy(() => perChannel(x, (planes) => convolve(planes, firKernel(1), 2, 1)));
}

/**
 * Zeros between the pixels, then low-pass filtering by [1, 3, 3, 1] with gain 4: four times the transpose of
 * `firDownsample2x`.
 * @param x [N, H, W, C]
 * @returns [N, 2H, 2W, C]
 */
export function firUpsample2x(x: Tensor4D): Tensor4D {
  return tf.tidy(() =>
    perChannel(x, (planes) => {
      const [n, h, w] = planes.shape;
      const wide = tf.conv2dTranspose(planes, firKernel(4), [n, 2 * h + 2, 2 * w + 2, 1], 2, 'valid');
      return tf.slice(wide, [0, 1, 1, 0], [n, 2 * h, 2 * w, 1]);
    }),
  );
}

/** Nearest-neighbour enlargement by a power of two: [N, H, W, C] → [N, factor·H, factor·W, C]. */
export function upsampleNearest(x: Tensor4D, factor: number): Tensor4D {
  return factor <= 1 ? x : upsampleNearest(upsample2x(x), factor / 2);
}
