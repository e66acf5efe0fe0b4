import { avgPool2x, upsample2x } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor2D, type Tensor4D, tf } from '../engine/tf.js';
import { type ActivationName, activation } from './activations.js';
import { conv, convSpecs, dense, linearSpecs, norm, normSpecs } from './layers.js';
import { firDownsample2x, firUpsample2x } from './resample.js';
import { spatialNorm, spatialNormSpecs } from './spatial-norm.js';

/**
 * What a block is told besides its input: the activated time embedding [N, E] in a U-Net, the quantized latents
 * [N, h, w, Z] in a decoder with spatial norms, else nothing.
 */
export type Conditioning = Tensor2D | Tensor4D | null;

/** A residual block as plain data. */
export interface ResnetPlan {
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Groups of the first and the second norm. */
  readonly groups: number;
  readonly groupsOut: number;
  readonly eps: number;
  readonly activation: ActivationName;
  /** Width of the conditioning; null: the block has none. */
  readonly tembChannels: number | null;
  /**
   * Time is added before the second norm, or scales and shifts its result (Dhariwal & Nichol 2021, AdaGN); with
   * 'spatial' both norms depend on the latents.
   */
  readonly timeScaleShift: 'default' | 'scale_shift' | 'spatial';
  /** How the block changes the size, on both of its ways: by averages and repetition, or filtered. */
  readonly resize: 'down' | 'up' | 'fir-down' | 'fir-up' | null;
  /** Whether the input goes through a 1×1 convolution before it is added. */
  readonly shortcut: boolean;
  /** The sum is divided by this. */
  readonly outputScale: number;
}

type Given = Pick<ResnetPlan, 'name' | 'inChannels' | 'outChannels' | 'groups' | 'eps'>;

/** A plan whose other properties are those of the plainest block. */
export function resnetPlan(given: Given & Partial<ResnetPlan>): ResnetPlan {
  return {
    groupsOut: given.groups,
    activation: 'silu',
    tembChannels: null,
    timeScaleShift: 'default',
    resize: null,
    shortcut: given.inChannels !== given.outChannels,
    outputScale: 1,
    ...given,
  };
}

/** Parameters of `resnet`. */
export function resnetSpecs(plan: ResnetPlan): ParamSpec[] {
  const { name, inChannels, outChannels, tembChannels, timeScaleShift } = plan;
  const normOf = (norm: string, channels: number) =>
    timeScaleShift === 'spatial' && tembChannels !== null
      ? spatialNormSpecs(`${name}.${norm}`, channels, tembChannels)
      : normSpecs(`${name}.${norm}`, channels);
  const timed = tembChannels !== null && timeScaleShift !== 'spatial';
  const tembOut = timeScaleShift === 'scale_shift' ? 2 * outChannels : outChannels;
  return [
    ...normOf('norm1', inChannels),
    ...convSpecs(`${name}.conv1`, inChannels, outChannels, 3),
    ...(timed ? linearSpecs(`${name}.time_emb_proj`, tembChannels, tembOut) : []),
    ...normOf('norm2', outChannels),
    ...convSpecs(`${name}.conv2`, outChannels, outChannels, 3),
    ...(plan.shortcut ? convSpecs(`${name}.conv_shortcut`, inChannels, outChannels, 1) : []),
  ];
}

const resizes = {
  down: avgPool2x,
  up: upsample2x,
  'fir-down': firDownsample2x,
  'fir-up': firUpsample2x,
} as const;

/**
 * Residual block of DDPM (Ho et al. 2020, appendix B): norm – activation – conv, time, norm – activation – conv,
 * plus the input. A block that resizes does so before its first convolution (Brock et al. 2019, "BigGAN").
 * @param x [N, H, W, inChannels]
 * @param temb what the plan's `timeScaleShift` needs; null where the plan has no conditioning
 * @returns [N, H, W, outChannels], or half or twice the size
 */
export function resnet(params: Params, plan: ResnetPlan, x: Tensor4D, temb: Conditioning): Tensor4D {
  const { name, outChannels: c, eps, timeScaleShift } = plan;
  const act = (t: Tensor4D) => activation(plan.activation, t);
  const resized = (t: Tensor4D) => (plan.resize ? resizes[plan.resize](t) : t);
  const normed = (which: 'norm1' | 'norm2', t: Tensor4D) =>
    timeScaleShift === 'spatial'
      ? spatialNorm(params, `${name}.${which}`, t, temb as Tensor4D)
      : norm(params, `${name}.${which}`, t, which === 'norm1' ? plan.groups : plan.groupsOut, eps);
  return tf.tidy(() => {
    let h = resized(act(normed('norm1', x)));
    h = conv(params, `${name}.conv1`, h, { padding: 1 }); // [N, H, W, outChannels]
    const timed = temb && plan.tembChannels !== null && timeScaleShift !== 'spatial';
    const time = timed ? dense(params, `${name}.time_emb_proj`, temb as Tensor2D) : null;
    if (timeScaleShift === 'scale_shift' && time) {
      const scale = tf.reshape(tf.slice(time, [0, 0], [-1, c]), [-1, 1, 1, c]);
      const shift = tf.reshape(tf.slice(time, [0, c], [-1, c]), [-1, 1, 1, c]);
      h = tf.add(tf.mul(normed('norm2', h), tf.add(scale, 1)), shift);
    } else {
      if (time) h = tf.add(h, tf.reshape(time, [-1, 1, 1, c]));
      h = normed('norm2', h);
    }
    h = conv(params, `${name}.conv2`, act(h), { padding: 1 });
    const input = resized(x);
    const shortcut = plan.shortcut ? conv(params, `${name}.conv_shortcut`, input) : input;
    return scaled(tf.add(shortcut, h), plan.outputScale);
  });
}

/** x / factor, and no operation where the factor is 1. */
export function scaled(x: Tensor4D, factor: number): Tensor4D {
  return factor === 1 ? x : tf.div(x, factor);
}
