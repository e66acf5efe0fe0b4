/** The blocks that the U-Nets and the autoencoders are built of. A plan is plain data; the same plan gives the parameters and runs. */
import { type Padding, silu, upsample2x } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor3D, type Tensor4D, tf } from '../engine/tf.js';
import { type AttentionPlan, selfAttention, selfAttentionSpecs } from './attention.js';
import { conv, convSpecs, norm, normSpecs } from './layers.js';
import { firDownsample2x, firUpsample2x } from './resample.js';
import { type Conditioning, type ResnetPlan, resnet, resnetSpecs } from './resnet.js';
import { type TransformerPlan, transformer, transformerSpecs } from './transformer.js';

/** What may follow a residual block: attention of pixels to pixels, or a transformer that looks at a text too. */
export type MixPlan = AttentionPlan | TransformerPlan;

/** A 3×3 convolution that halves or follows a doubling, or a residual block that does both itself. */
export type ResizePlan =
  | {
      readonly kind: 'conv';
      readonly name: string;
      readonly channels: number;
      /** Of a halving: 1 pads all sides, 0 right and bottom only. */
      readonly padding: 0 | 1;
    }
  | { readonly kind: 'resnet'; readonly resnet: ResnetPlan };

/** Residual blocks, each followed by attention where there is any, then a halving unless this is the lowest level. */
export interface DownPlan {
  readonly resnets: readonly ResnetPlan[];
  /** What follows each resnet; shorter or null where nothing does. */
  readonly attentions: readonly (MixPlan | null)[];
  readonly downsampler: ResizePlan | null;
  /** The 1×1 convolution that adds the picture, halved as often, to the result; null: it is not looked at again. */
  readonly skipConv: { readonly name: string; readonly channels: number } | null;
}

/** One residual block more than attentions; an attention may be missing. */
export interface MidPlan {
  readonly resnets: readonly [ResnetPlan, ResnetPlan];
  readonly attention: MixPlan | null;
}

/** What a level adds to the picture that grows on the way up: norm, SiLU and a 3×3 convolution. */
export interface SkipOutPlan {
  readonly name: string;
  readonly channels: number;
  readonly groups: number;
  readonly eps: number;
}

/** Residual blocks (with the skips of the way down, in a U-Net), then a doubling unless this is the highest level. */
export interface UpPlan {
  readonly resnets: readonly ResnetPlan[];
  /** What follows each resnet; shorter or null where nothing does. */
  readonly attentions: readonly (MixPlan | null)[];
  readonly upsampler: ResizePlan | null;
  /** Whether a picture is doubled along, and what the level adds to it; null: the level knows no picture. */
  readonly skip: { readonly adds: SkipOutPlan | null } | null;
}

/** Channels of the pictures that the Skip blocks take in and give out; diffusers fixes it. */
export const SKIP_CHANNELS = 3;

const resizeSpecs = (plan: ResizePlan | null): ParamSpec[] => {
  if (!plan) return [];
  return plan.kind === 'conv'
    ? convSpecs(plan.name, plan.channels, plan.channels, 3)
    : resnetSpecs(plan.resnet);
};

const attentionSpecs = (plans: readonly (MixPlan | null)[]): ParamSpec[] =>
  plans.flatMap((plan) => {
    if (!plan) return [];
    return plan.kind === 'self' ? selfAttentionSpecs(plan) : transformerSpecs(plan);
  });

/** Runs what follows a residual block, if anything does. */
function mix(
  params: Params,
  plan: MixPlan | null | undefined,
  x: Tensor4D,
  temb: Conditioning,
  context: Tensor3D | null,
): Tensor4D {
  if (!plan) return x;
  if (plan.kind === 'self') return selfAttention(params, plan, x, temb);
  return transformer(params, plan, x, context as Tensor3D);
}

/** Parameters of `downBlock`. */
export function downBlockSpecs(plan: DownPlan): ParamSpec[] {
  const { skipConv } = plan;
  return [
    ...attentionSpecs(plan.attentions),
    ...plan.resnets.flatMap(resnetSpecs),
    ...resizeSpecs(plan.downsampler),
    ...(skipConv ? convSpecs(skipConv.name, SKIP_CHANNELS, skipConv.channels, 1) : []),
  ];
}

/** Parameters of `midBlock`. */
export function midBlockSpecs(plan: MidPlan): ParamSpec[] {
  return [...attentionSpecs([plan.attention]), ...plan.resnets.flatMap(resnetSpecs)];
}

/** Parameters of `upBlock`. */
export function upBlockSpecs(plan: UpPlan): ParamSpec[] {
  const adds = plan.skip?.adds;
  return [
    ...attentionSpecs(plan.attentions),
    ...plan.resnets.flatMap(resnetSpecs),
    ...resizeSpecs(plan.upsampler),
    ...(adds
      ? [
          ...normSpecs(`${adds.name}.skip_norm`, adds.channels),
          ...convSpecs(`${adds.name}.skip_conv`, adds.channels, SKIP_CHANNELS, 3),
        ]
      : []),
  ];
}

/** Halving: [N, H, W, C] → [N, H/2, W/2, C]. */
export function downsample(params: Params, plan: ResizePlan, x: Tensor4D, temb: Conditioning): Tensor4D {
  if (plan.kind === 'resnet') return resnet(params, plan.resnet, x, temb);
  const sides: Padding =
    plan.padding === 1
      ? 1
      : [
          [0, 1],
          [0, 1],
        ];
  return conv(params, plan.name, x, { stride: 2, padding: sides });
}

/**
 * Doubling, by repeated pixels and a 3×3 convolution or by a residual block: [N, H, W, C] → [N, 2H, 2W, C].
 * @param like a tensor of the size that the convolution is to give, one less than the double where a halving rounded up
 */
export function upsample(
  params: Params,
  plan: ResizePlan,
  x: Tensor4D,
  temb: Conditioning,
  like?: Tensor4D,
): Tensor4D {
  if (plan.kind === 'resnet') return resnet(params, plan.resnet, x, temb);
  return tf.tidy(() => {
    const twice = upsample2x(x);
    const [, height, width] = (like ?? twice).shape;
    const fits = twice.shape[1] === height && twice.shape[2] === width;
    const cut = fits ? twice : tf.slice(twice, [0, 0, 0, 0], [-1, height, width, -1]);
    return conv(params, plan.name, cut, { padding: 1 });
  });
}

/**
 * Runs a block of the way down.
 * @param x [N, H, W, C]
 * @param temb what the resnets are told
 * @param picture [N, H, W, 3], the network's input at this level; needed by a plan with `skipConv`
 * @param context [N, T, D], what transformers look at; needed by a plan that has any
 * @returns the result, every intermediate that the way up may want (the result is the last of them), and the
 * picture in the result's size, or as it came
 */
export function downBlock(
  params: Params,
  plan: DownPlan,
  x: Tensor4D,
  temb: Conditioning,
  picture: Tensor4D | null = null,
  context: Tensor3D | null = null,
): { x: Tensor4D; skips: Tensor4D[]; picture: Tensor4D | null } {
  const skips: Tensor4D[] = [];
  let h = x;
  plan.resnets.forEach((block, i) => {
    h = mix(params, plan.attentions[i], resnet(params, block, h, temb), temb, context);
    skips.push(h);
  });
  if (plan.downsampler) {
    h = downsample(params, plan.downsampler, h, temb);
    if (plan.skipConv && picture) {
      picture = firDownsample2x(picture);
      h = tf.add(conv(params, plan.skipConv.name, picture), h);
    }
    skips.push(h);
  }
  return { x: h, skips, picture };
}

/** Runs the middle: [N, H, W, C] → [N, H, W, C]. */
export function midBlock(
  params: Params,
  plan: MidPlan,
  x: Tensor4D,
  temb: Conditioning,
  context: Tensor3D | null = null,
): Tensor4D {
  const h = resnet(params, plan.resnets[0], x, temb);
  return resnet(params, plan.resnets[1], mix(params, plan.attention, h, temb, context), temb);
}

/**
 * Runs a block of the way up.
 * @param x [N, H, W, C]
 * @param skips the intermediates of the way down, newest last, one taken off for each resnet; null in a decoder
 * @param temb what the resnets are told
 * @param picture [N, H/2, W/2, 3], what the levels below have drawn; null: nothing yet
 * @param context as `downBlock` takes it
 * @returns x: [N, H, W, C'], or the size of the skips above with an upsampler; picture: [N, H, W, 3] where the plan has a `skip`
 */
export function upBlock(
  params: Params,
  plan: UpPlan,
  x: Tensor4D,
  skips: Tensor4D[] | null,
  temb: Conditioning,
  picture: Tensor4D | null = null,
  context: Tensor3D | null = null,
): { x: Tensor4D; picture: Tensor4D | null } {
  let h = x;
  plan.resnets.forEach((block, i) => {
    const skip = skips?.pop();
    h = resnet(params, block, skip ? tf.concat([h, skip], 3) : h, temb);
    h = mix(params, plan.attentions[i], h, temb, context);
  });
  if (plan.skip) {
    if (picture) picture = firUpsample2x(picture);
    const { adds } = plan.skip;
    if (adds) {
      const drawn = skipOut(params, adds, h);
      picture = picture ? tf.add(picture, drawn) : drawn;
    }
  }
  if (plan.upsampler) h = upsample(params, plan.upsampler, h, temb, skips?.at(-1));
  return { x: h, picture };
}

/** What a level adds to the picture: [N, H, W, C] → [N, H, W, 3]. */
function skipOut(params: Params, { name, groups, eps }: SkipOutPlan, h: Tensor4D): Tensor4D {
  return tf.tidy(() => {
    const normed = silu(norm(params, `${name}.skip_norm`, h, groups, eps));
    return conv(params, `${name}.skip_conv`, normed, { padding: 1 });
  });
}
