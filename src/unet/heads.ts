import { attention } from '../engine/ops.js';
import { type Tensor2D, type Tensor3D, tf } from '../engine/tf.js';

/**
 * Multi-head attention (Vaswani et al. 2017, section 3.2.2) of queries, keys and values that are projected already,
 * each head's channels side by side.
 * @param q [N, T, heads·D]
 * @param k [N, S, heads·D]
 * @param v [N, S, heads·D]
 * @param mask as `attention` takes it
 * @returns [N, T, heads·D]
 */
export function headedAttention(
  q: Tensor3D,
  k: Tensor3D,
  v: Tensor3D,
  heads: number,
  mask: Tensor2D | null = null,
): Tensor3D {
  const [n, tokens, channels] = q.shape;
  const headDim = channels / heads;
  const split = (t: Tensor3D): Tensor3D => {
    if (heads === 1) return t;
    const parted = tf.transpose(tf.reshape(t, [n, t.shape[1], heads, headDim]), [0, 2, 1, 3]);
    return tf.reshape(parted, [n * heads, t.shape[1], headDim]);
  };
  const mixed = attention(split(q), split(k), split(v), 1 / Math.sqrt(headDim), mask); // [N·heads, T, D]
  if (heads === 1) return mixed;
  const parted = tf.transpose(tf.reshape(mixed, [n, heads, tokens, headDim]), [0, 2, 1, 3]);
  return tf.reshape(parted, [n, tokens, channels]);
}
