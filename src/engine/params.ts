import type { Random } from '../random.js';
import { sizeOf } from './graph.js';
import { type Tensor, type Tensor1D, tf } from './tf.js';

/** How a parameter starts: PyTorch's defaults are uniform in ±bound; `zeros` is what DDPM gives its last convolutions. */
export type Init = { uniform: number } | { normal: number } | { constant: number };

/** One named parameter of a model, in diffusers' name and shape (convolutions OIHW, linear layers [out, in]). */
export interface ParamSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
}

/** The parameters of a model as tensors, by diffusers' name. */
export type Params = Readonly<Record<string, Tensor>>;

/** How many numbers the parameters are. */
export function countParams(specs: readonly ParamSpec[]): number {
  return specs.reduce((n, spec) => n + sizeOf(spec.shape), 0);
}

/** Where each parameter lies in the flat vector, which holds them one after another in the order of `specs`. */
export function offsetsOf(specs: readonly ParamSpec[]): number[] {
  let at = 0;
  return specs.map((spec) => {
    const start = at;
    at += sizeOf(spec.shape);
    return start;
  });
}

/** Draws the starting values of all parameters into one flat vector of length `countParams(specs)`. */
export function initParams(specs: readonly ParamSpec[], random: Random): Float32Array {
  const flat = new Float32Array(countParams(specs));
  const offsets = offsetsOf(specs);
  specs.forEach((spec, i) => {
    const view = flat.subarray(offsets[i], offsets[i] + sizeOf(spec.shape));
    if ('constant' in spec.init) view.fill(spec.init.constant);
    else if ('uniform' in spec.init) {
      const bound = spec.init.uniform;
      const drawn = random.uniform(view.length);
      for (let k = 0; k < view.length; k++) view[k] = (2 * drawn[k] - 1) * bound;
    } else {
      const std = spec.init.normal;
      const drawn = random.normal(view.length);
      for (let k = 0; k < view.length; k++) view[k] = drawn[k] * std;
    }
  });
  return flat;
}

/** Views a flat vector as named arrays without copying. */
export function viewParams(specs: readonly ParamSpec[], flat: Float32Array): Record<string, Float32Array> {
  const offsets = offsetsOf(specs);
  return Object.fromEntries(
    specs.map((spec, i) => [spec.name, flat.subarray(offsets[i], offsets[i] + sizeOf(spec.shape))]),
  );
}

/** Slices a flat tensor into the named, shaped parameters of a model. */
export function unflatten(specs: readonly ParamSpec[], flat: Tensor1D): Record<string, Tensor> {
  const offsets = offsetsOf(specs);
  return Object.fromEntries(
    specs.map((spec, i) => [
      spec.name,
      tf.reshape(tf.slice(flat, offsets[i], sizeOf(spec.shape)), spec.shape as number[]),
    ]),
  );
}
