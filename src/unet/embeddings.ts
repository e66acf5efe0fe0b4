import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../engine/tf.js';
import { type ActivationName, activation } from './activations.js';
import { dense, linearSpecs } from './layers.js';

/** Period of the slowest wave over 2π. */
const MAX_PERIOD = 10000;

/**
 * Sinusoidal embedding of timesteps (Vaswani et al. 2017, section 3.5, in DDPM's arrangement): sines and cosines
 * of t·10000^(-i/(half - freqShift)), i = 0 … half-1.
 * @param timesteps float32 [N], may be fractional
 * @param dim channels of the result; an odd one ends in a zero
 * @param flipSinToCos true: cosines first
 * @param freqShift diffusers' freq_shift: 0, or 1 as in DDPM's code
 * @returns [N, dim]
 */
export function timestepEmbedding(
  timesteps: Tensor1D,
  dim: number,
  { flipSinToCos, freqShift }: { flipSinToCos: boolean; freqShift: number },
): Tensor2D {
  const half = Math.floor(dim / 2);
  // In single precision at each step, as the weights have always seen it: the angle t·f reaches 1000, where the
  // last bit of f is worth 6e-5.
  const rate = Math.fround(-Math.log(MAX_PERIOD));
  const frequencies = Array.from({ length: half }, (_, i) =>
    Math.exp(Math.fround(Math.fround(rate * i) / Math.fround(half - freqShift))),
  );
  const angles = tf.mul(tf.reshape(timesteps, [-1, 1]), tf.tensor2d([frequencies], [1, half]));
  const [sin, cos] = [tf.sin(angles), tf.cos(angles)];
  const waves = tf.concat(flipSinToCos ? [cos, sin] : [sin, cos], 1) as Tensor2D;
  return dim % 2 === 0
    ? waves
    : tf.pad(waves, [
        [0, 0],
        [0, 1],
      ]);
}

/**
 * Random Fourier features of the logarithm of noise levels (Tancik et al. 2020; Song et al. 2021, appendix C):
 * sines, then cosines, of 2π·w·ln t. The frequencies are drawn once and not trained: their gradient is zero.
 * @param timesteps float32 [N], above 0: at 0 the result is NaN
 * @param frequencies [F]
 * @returns [N, 2F]
 */
export function fourierEmbedding(timesteps: Tensor1D, frequencies: Tensor1D): Tensor2D {
  const fixed = tf.customGrad((w) => ({
    value: tf.clone(w as Tensor1D),
    gradFunc: (dy: Tensor) => tf.zerosLike(dy),
  }))(frequencies);
  const logs = tf.reshape(tf.log(timesteps), [-1, 1]);
  // Rounded where diffusers rounds: the angles are large.
  const angles = tf.mul(tf.mul(tf.mul(logs, tf.reshape(fixed, [1, -1])), 2), Math.PI);
  return tf.concat([tf.sin(angles), tf.cos(angles)], 1) as Tensor2D;
}

/** Parameters of `embeddingMlp`. */
export function embeddingMlpSpecs(name: string, inp: number, out: number): ParamSpec[] {
  return [...linearSpecs(`${name}.linear_1`, inp, out), ...linearSpecs(`${name}.linear_2`, out, out)];
}

/** Linear – activation – linear, diffusers' TimestepEmbedding: [N, I] → [N, E]. */
export function embeddingMlp(
  params: Params,
  name: string,
  x: Tensor2D,
  act: ActivationName = 'silu',
): Tensor2D {
  return dense(params, `${name}.linear_2`, activation(act, dense(params, `${name}.linear_1`, x)));
}

/**
 * Rows of a table. The gradient is a product with one-hot rows instead of tfjs's scatter, so that training needs
 * no kernel beyond matmul.
 * @param table [K, E]
 * @param indices int32 [N], each in [0, K)
 * @returns [N, E]
 */
export function embeddingLookup(table: Tensor2D, indices: Tensor1D): Tensor2D {
  const rows = table.shape[0];
  const op = tf.customGrad((input, save) => {
    (save as (t: Tensor[]) => void)([indices]); // they may be made inside the loss, and be gone by the way back
    return {
      value: tf.gather(input as Tensor2D, indices),
      gradFunc: (dy: Tensor2D, saved: Tensor[]) => {
        const every = tf.tensor1d(
          Array.from({ length: rows }, (_, i) => i),
          'int32',
        );
        const hot = tf.equal(tf.reshape(saved[0], [-1, 1]), every); // [N, K]
        return tf.matMul(tf.cast(hot, 'float32'), dy, true, false);
      },
    };
  });
  return op(table) as Tensor2D;
}
