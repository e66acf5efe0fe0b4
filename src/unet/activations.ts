/** The activation functions that diffusers' configs name. */
import { z } from 'zod';
import { relu, silu } from '../engine/ops.js';
import { type Tensor, tf } from '../engine/tf.js';

/** Values of `act_fn`; "swish" is another name of SiLU. */
export const activationSchema = z.enum(['silu', 'swish', 'mish', 'gelu', 'relu']);
export type ActivationName = z.output<typeof activationSchema>;

/**
 * SiLU (Ramachandran et al. 2017), Mish x·tanh(ln(1 + eˣ)) (Misra 2019), GELU x·Φ(x) by the error function
 * (Hendrycks & Gimpel 2016) or ReLU, element by element.
 */
export function activation<T extends Tensor>(name: ActivationName, x: T): T {
  switch (name) {
    case 'silu':
    case 'swish':
      return silu(x);
    case 'mish':
      return tf.mul(x, tf.tanh(tf.softplus(x))) as T;
    case 'gelu':
      return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)) as T;
    case 'relu':
      return relu(x);
  }
}
