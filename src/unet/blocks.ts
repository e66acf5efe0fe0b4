/** The blocks that UNet2D and the autoencoder are built of. A plan is plain data; the same plan gives the parameters and runs. */
import { type Padding, upsample2x } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor2D, type Tensor4D, tf } from '../engine/tf.js';
import { type AttentionPlan, selfAttention, selfAttentionSpecs } from './attention.js';
import { conv, convSpecs } from './layers.js';
import { type ResnetPlan, resnet, resnetSpecs } from './resnet.js';

/** A 3×3 convolution that halves or follows a doubling. */
export interface ResizePlan {
  readonly name: string;
  readonly channels: number;
}

/** Residual blocks, each followed by attention where there is any, then a halving unless this is the lowest level. */
export interface DownPlan {
  readonly resnets: readonly ResnetPlan[];
  /** One for each resnet, or none. */
  readonly attentions: readonly AttentionPlan[];
  /** 0 pads right and bottom only. */
  readonly downsampler: (ResizePlan & { readonly padding: 0 | 1 }) | null;
}

/** One residual block more than attentions; an attention may be missing. */
export interface MidPlan {
  readonly resnets: readonly [ResnetPlan, ResnetPlan];
  readonly attention: AttentionPlan | null;
}

/** Residual blocks (with the skips of the way down, in a U-Net), then a doubling unless this is the highest level. */
export interface UpPlan {
  readonly resnets: readonly ResnetPlan[];
  /** One for each resnet, or none. */
  readonly attentions: readonly AttentionPlan[];
  readonly upsampler: ResizePlan | null;
}

const resizeSpecs = (plan: ResizePlan | null): ParamSpec[] =>
  plan ? convSpecs(plan.name, plan.channels, plan.channels, 3) : [];

/** Parameters of `downBlock`. */
export function downBlockSpecs(plan: DownPlan): ParamSpec[] {
  return [
    ...plan.attentions.flatMap(selfAttentionSpecs),
    ...plan.resnets.flatMap(resnetSpecs),
    ...resizeSpecs(plan.downsampler),
  ];
}

/** Parameters of `midBlock`. */
export function midBlockSpecs(plan: MidPlan): ParamSpec[] {
  return [
    ...(plan.attention ? selfAttentionSpecs(plan.attention) : []),
    ...plan.resnets.flatMap(resnetSpecs),
  ];
}

/** Parameters of `upBlock`. */
export function upBlockSpecs(plan: UpPlan): ParamSpec[] {
  return [
    ...plan.attentions.flatMap(selfAttentionSpecs),
    ...plan.resnets.flatMap(resnetSpecs),
    ...resizeSpecs(plan.upsampler),
  ];
}

/** Halving by a 3×3 convolution of stride 2: [N, H, W, C] → [N, H/2, W/2, C]. */
export function downsample(params: Params, name: string, x: Tensor4D, padding: 0 | 1): Tensor4D {
  const sides: Padding =
    padding === 1
      ? 1
      : [
          [0, 1],
          [0, 1],
        ];
  return conv(params, name, x, { stride: 2, padding: sides });
}

/** Nearest-neighbour doubling and a 3×3 convolution: [N, H, W, C] → [N, 2H, 2W, C]. */
export function upsample(params: Params, name: string, x: Tensor4D): Tensor4D {
  return tf.tidy(() => conv(params, name, upsample2x(x), { padding: 1 }));
}

/**
 * Runs a block of the way down.
 * @param x [N, H, W, C]
 * @param temb SiLU of the time embedding [N, E], or null
 * @returns the result, and every intermediate that the way up may want (the result is the last of them)
 */
export function downBlock(
  params: Params,
  plan: DownPlan,
  x: Tensor4D,
  temb: Tensor2D | null,
): { x: Tensor4D; skips: Tensor4D[] } {
  const skips: Tensor4D[] = [];
  let h = x;
  plan.resnets.forEach((block, i) => {
    h = resnet(params, block, h, temb);
    if (plan.attentions[i]) h = selfAttention(params, plan.attentions[i], h);
    skips.push(h);
  });
  if (plan.downsampler) {
    h = downsample(params, plan.downsampler.name, h, plan.downsampler.padding);
    skips.push(h);
  }
  return { x: h, skips };
}

/** Runs the middle: [N, H, W, C] → [N, H, W, C]. */
export function midBlock(params: Params, plan: MidPlan, x: Tensor4D, temb: Tensor2D | null): Tensor4D {
  let h = resnet(params, plan.resnets[0], x, temb);
  if (plan.attention) h = selfAttention(params, plan.attention, h);
  return resnet(params, plan.resnets[1], h, temb);
}

/**
 * Runs a block of the way up.
 * @param x [N, H, W, C]
 * @param skips the intermediates of the way down, newest last, one taken off for each resnet; null in a decoder
 * @param temb SiLU of the time embedding [N, E], or null
 * @returns [N, H, W, C'], or twice the size with an upsampler
 */
export function upBlock(
  params: Params,
  plan: UpPlan,
  x: Tensor4D,
  skips: Tensor4D[] | null,
  temb: Tensor2D | null,
): Tensor4D {
  let h = x;
  plan.resnets.forEach((block, i) => {
    const skip = skips?.pop();
    h = resnet(params, block, skip ? tf.concat([h, skip], 3) : h, temb);
    if (plan.attentions[i]) h = selfAttention(params, plan.attentions[i], h);
  });
  return plan.upsampler ? upsample(params, plan.upsampler.name, h) : h;
}
