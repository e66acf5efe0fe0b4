import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor3D, type Tensor4D, tf } from '../engine/tf.js';
import { headedAttention } from './heads.js';
import { dense, linearSpecs, norm, normSpecs } from './layers.js';
import { type Conditioning, scaled } from './resnet.js';
import { spatialNorm, spatialNormSpecs } from './spatial-norm.js';

/** Self-attention over pixels as plain data. */
export interface AttentionPlan {
  readonly kind: 'self';
  readonly name: string;
  readonly channels: number;
  /** Channels of one head; there are ⌊channels / headDim⌋ heads. */
  readonly headDim: number;
  /** Groups of the norm in front; null: no norm. */
  readonly groups: number | null;
  readonly eps: number;
  /** Channels of the latents that a spatial norm in front depends on; null: no such norm. */
  readonly spatialChannels: number | null;
  /** The sum with the input is divided by this. */
  readonly outputScale: number;
}

const headsOf = (plan: AttentionPlan) => Math.floor(plan.channels / plan.headDim);

/** Parameters of `selfAttention`. */
export function selfAttentionSpecs(plan: AttentionPlan): ParamSpec[] {
  const { name, channels } = plan;
  const inner = headsOf(plan) * plan.headDim;
  return [
    ...(plan.spatialChannels === null
      ? []
      : spatialNormSpecs(`${name}.spatial_norm`, channels, plan.spatialChannels)),
    ...(plan.groups === null ? [] : normSpecs(`${name}.group_norm`, channels)),
    ...linearSpecs(`${name}.to_q`, channels, inner),
    ...linearSpecs(`${name}.to_k`, channels, inner),
    ...linearSpecs(`${name}.to_v`, channels, inner),
    ...linearSpecs(`${name}.to_out.0`, inner, channels),
  ];
}

/**
 * Norm, multi-head attention of every pixel to every pixel (Vaswani et al. 2017), plus the input.
 * @param x [N, H, W, C]
 * @param cond the latents [N, h, w, Z] for a plan with a spatial norm; ignored by others
 * @returns [N, H, W, C]
 */
export function selfAttention(
  params: Params,
  plan: AttentionPlan,
  x: Tensor4D,
  cond: Conditioning,
): Tensor4D {
  const { name, channels } = plan;
  const [n, height, width] = x.shape;
  return tf.tidy(() => {
    const seen =
      plan.spatialChannels === null ? x : spatialNorm(params, `${name}.spatial_norm`, x, cond as Tensor4D);
    const normed =
      plan.groups === null ? seen : norm(params, `${name}.group_norm`, seen, plan.groups, plan.eps);
    const h = tf.reshape(normed, [n, height * width, channels]) as Tensor3D;
    const q = dense(params, `${name}.to_q`, h); // [N, H·W, heads·headDim]
    const k = dense(params, `${name}.to_k`, h);
    const v = dense(params, `${name}.to_v`, h);
    const mixed = headedAttention(q, k, v, headsOf(plan)); // [N, H·W, heads·headDim]
    const out = tf.reshape(dense(params, `${name}.to_out.0`, mixed), [n, height, width, channels]);
    return scaled(tf.add(out, x) as Tensor4D, plan.outputScale);
  });
}
