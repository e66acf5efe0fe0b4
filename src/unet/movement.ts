/** Moving pixels about: pooling, and fitting one picture's size to another's. */
import { upsample2x } from '../engine/ops.js';
import { type Tensor4D, tf } from '../engine/tf.js';

/**
 * Largest of each 2×2 block; an odd last row or column is left out. The gradient is written with plain operations
 * because tfjs's own is one more kernel that every backend would need. Pixels that share the maximum each get the
 * whole gradient, where PyTorch picks the first: after a ReLU the only ties are zeros, where its gradient ends.
 * @param x [N, H, W, C], H and W at least 2
 * @returns [N, ⌊H/2⌋, ⌊W/2⌋, C]
 */
export function maxPool2x(x: Tensor4D): Tensor4D {
  const [n, height, width, c] = x.shape;
  const even = [n, height - (height % 2), width - (width % 2), c];
  const op = tf.customGrad((input, save) => {
    const a = input as Tensor4D;
    const value = tf.maxPool(a, 2, 2, 'valid');
    (save as (t: Tensor4D[]) => void)([a, value]);
    return {
      value,
      gradFunc: (dy, saved) => {
        const [from, largest] = saved as Tensor4D[];
        const chosen = tf.cast(tf.equal(from, upsample2x(largest)), 'float32');
        return tf.mul(upsample2x(dy as Tensor4D), chosen);
      },
    };
  });
  const cropped = height % 2 || width % 2 ? tf.slice(x, [0, 0, 0, 0], even) : x;
  return op(cropped) as Tensor4D;
}

/**
 * Zeros around a picture so that it has the given size and lies in its centre (a spare row goes below, a spare
 * column to the right).
 * @param x [N, H, W, C], no larger than the size asked for
 * @returns [N, height, width, C]
 */
export function centrePad(x: Tensor4D, height: number, width: number): Tensor4D {
  const [down, across] = [height - x.shape[1], width - x.shape[2]];
  if (down === 0 && across === 0) return x;
  const [top, left] = [Math.floor(down / 2), Math.floor(across / 2)];
  return tf.pad(x, [
    [0, 0],
    [top, down - top],
    [left, across - left],
    [0, 0],
  ]);
}
