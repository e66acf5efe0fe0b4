/** Layers by name: each takes its parameters out of the dictionary as `NAME.weight` and `NAME.bias`. */

import { conv2d, groupNorm, layerNorm, linear, type Padding } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '../engine/tf.js';
import { InputError } from '../errors.js';

/** @throws InputError when the model has no such parameter */
export function param<T extends Tensor>(params: Params, name: string): T {
  const tensor = params[name];
  if (!tensor) {
    throw new InputError(`missing parameter — ${name} — use weights that were made with this config`);
  }
  return tensor as T;
}

/** PyTorch's default for convolutions and linear layers: uniform in ±1/√fan_in, weight and bias alike. */
export function weightSpecs(
  name: string,
  shape: readonly number[],
  fanIn: number,
  biasLength: number,
): ParamSpec[] {
  const init = { uniform: 1 / Math.sqrt(fanIn) };
  const weight = { name: `${name}.weight`, shape, init };
  return biasLength === 0 ? [weight] : [weight, { name: `${name}.bias`, shape: [biasLength], init }];
}

/** A square convolution's weight [out, in, kernel, kernel] and bias [out]. */
export function convSpecs(name: string, inp: number, out: number, kernel: number, bias = true): ParamSpec[] {
  return weightSpecs(name, [out, inp, kernel, kernel], inp * kernel * kernel, bias ? out : 0);
}

/** A linear layer's weight [out, in] and bias [out]. */
export function linearSpecs(name: string, inp: number, out: number, bias = true): ParamSpec[] {
  return weightSpecs(name, [out, inp], inp, bias ? out : 0);
}

/** A norm's scale and shift, [channels] each, starting as 1 and 0. */
export function normSpecs(name: string, channels: number): ParamSpec[] {
  return [
    { name: `${name}.weight`, shape: [channels], init: { constant: 1 } },
    { name: `${name}.bias`, shape: [channels], init: { constant: 0 } },
  ];
}

/** Convolution with bias, [N, H, W, I] → [N, H', W', O]. */
export function conv(
  params: Params,
  name: string,
  x: Tensor4D,
  options?: { stride?: number; padding?: Padding },
): Tensor4D {
  const weight = param<Tensor4D>(params, `${name}.weight`);
  return conv2d(x, weight, param<Tensor1D>(params, `${name}.bias`), options);
}

/** Linear layer on the last axis, [..., I] → [..., O]. */
export function dense<T extends Tensor>(params: Params, name: string, x: T, bias = true): T {
  const shift = bias ? param<Tensor1D>(params, `${name}.bias`) : null;
  return linear(x, param<Tensor2D>(params, `${name}.weight`), shift);
}

/** Group norm over [N, ..., C]. */
export function norm<T extends Tensor>(params: Params, name: string, x: T, groups: number, eps: number): T {
  const gamma = param<Tensor1D>(params, `${name}.weight`);
  return groupNorm(x, gamma, param<Tensor1D>(params, `${name}.bias`), groups, eps);
}

/** Layer norm over the last axis of [..., C]. */
export function tokenNorm<T extends Tensor>(params: Params, name: string, x: T, eps: number): T {
  const gamma = param<Tensor1D>(params, `${name}.weight`);
  return layerNorm(x, gamma, param<Tensor1D>(params, `${name}.bias`), eps);
}
