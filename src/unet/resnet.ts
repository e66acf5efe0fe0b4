import { silu } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor2D, type Tensor4D, tf } from '../engine/tf.js';
import { conv, convSpecs, dense, linearSpecs, norm, normSpecs } from './layers.js';

/** A residual block as plain data. */
export interface ResnetPlan {
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Groups of both norms. */
  readonly groups: number;
  readonly eps: number;
  /** Width of the time embedding; null: the block knows no time. */
  readonly tembChannels: number | null;
  /** Time is added before the second norm, or scales and shifts its result (Dhariwal & Nichol 2021, AdaGN). */
  readonly timeScaleShift: 'default' | 'scale_shift';
  /** The sum is divided by this. */
  readonly outputScale: number;
}

/** Parameters of `resnet`. */
export function resnetSpecs(plan: ResnetPlan): ParamSpec[] {
  const { name, inChannels, outChannels, tembChannels } = plan;
  const tembOut = plan.timeScaleShift === 'scale_shift' ? 2 * outChannels : outChannels;
  return [
    ...normSpecs(`${name}.norm1`, inChannels),
    ...convSpecs(`${name}.conv1`, inChannels, outChannels, 3),
    ...(tembChannels === null ? [] : linearSpecs(`${name}.time_emb_proj`, tembChannels, tembOut)),
    ...normSpecs(`${name}.norm2`, outChannels),
    ...convSpecs(`${name}.conv2`, outChannels, outChannels, 3),
    ...(inChannels === outChannels ? [] : convSpecs(`${name}.conv_shortcut`, inChannels, outChannels, 1)),
  ];
}

/**
 * Residual block of DDPM (Ho et al. 2020, appendix B): norm – SiLU – conv, time, norm – SiLU – conv, plus the input.
 * @param x [N, H, W, inChannels]
 * @param temb SiLU of the time embedding [N, E]; null where the plan has no time
 * @returns [N, H, W, outChannels]
 */
export function resnet(params: Params, plan: ResnetPlan, x: Tensor4D, temb: Tensor2D | null): Tensor4D {
  const { name, groups, eps, outChannels: c } = plan;
  return tf.tidy(() => {
    let h = silu(norm(params, `${name}.norm1`, x, groups, eps));
    h = conv(params, `${name}.conv1`, h, { padding: 1 }); // [N, H, W, outChannels]
    const time = temb && plan.tembChannels !== null ? dense(params, `${name}.time_emb_proj`, temb) : null;
    if (plan.timeScaleShift === 'scale_shift' && time) {
      const scale = tf.reshape(tf.slice(time, [0, 0], [-1, c]), [-1, 1, 1, c]);
      const shift = tf.reshape(tf.slice(time, [0, c], [-1, c]), [-1, 1, 1, c]);
      h = norm(params, `${name}.norm2`, h, groups, eps);
      h = tf.add(tf.mul(h, tf.add(scale, 1)), shift);
    } else {
      if (time) h = tf.add(h, tf.reshape(time, [-1, 1, 1, c]));
      h = norm(params, `${name}.norm2`, h, groups, eps);
    }
    h = conv(params, `${name}.conv2`, silu(h), { padding: 1 });
    const shortcut = plan.inChannels === c ? x : conv(params, `${name}.conv_shortcut`, x);
    return scaled(tf.add(shortcut, h), plan.outputScale);
  });
}

/** x / factor, and no operation where the factor is 1. */
export function scaled(x: Tensor4D, factor: number): Tensor4D {
  return factor === 1 ? x : tf.div(x, factor);
}
