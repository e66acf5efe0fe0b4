import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor3D, type Tensor4D, tf } from '../engine/tf.js';
import { activation } from './activations.js';
import { headedAttention } from './heads.js';
import { conv, convSpecs, dense, linearSpecs, norm, normSpecs, tokenNorm } from './layers.js';

/** Epsilons of the group norm and of the layer norms; diffusers fixes both. */
const GROUP_EPS = 1e-6;
const TOKEN_EPS = 1e-5;

/** Width of the feed-forward layers over that of the tokens. */
const FEED_FORWARD = 4;

/** Transformer layers over pixels that look at a text too, as plain data. */
export interface TransformerPlan {
  readonly kind: 'transformer';
  readonly name: string;
  readonly channels: number;
  readonly heads: number;
  readonly headDim: number;
  /** Channels of the text's tokens. */
  readonly contextChannels: number;
  readonly layers: number;
  readonly groups: number;
  /** Whether the ways in and out are linear layers; else 1×1 convolutions, whose weights have two axes more. */
  readonly linear: boolean;
  /** Whether the first attention of each layer looks at the text, too, and not at the pixels. */
  readonly crossOnly: boolean;
}

/** Parameters of `transformer`. */
export function transformerSpecs(plan: TransformerPlan): ParamSpec[] {
  const { name, channels, contextChannels, crossOnly } = plan;
  const inner = plan.heads * plan.headDim;
  const projection = (which: string, inp: number, out: number) =>
    plan.linear ? linearSpecs(`${name}.${which}`, inp, out) : convSpecs(`${name}.${which}`, inp, out, 1);
  const attentionSpecs = (at: string, seen: number) => [
    ...linearSpecs(`${at}.to_q`, inner, inner, false),
    ...linearSpecs(`${at}.to_k`, seen, inner, false),
    ...linearSpecs(`${at}.to_v`, seen, inner, false),
    ...linearSpecs(`${at}.to_out.0`, inner, inner),
  ];
  const layers = Array.from({ length: plan.layers }, (_, i) => `${name}.transformer_blocks.${i}`);
  return [
    ...normSpecs(`${name}.norm`, channels),
    ...projection('proj_in', channels, inner),
    ...layers.flatMap((layer) => [
      ...normSpecs(`${layer}.norm1`, inner),
      ...attentionSpecs(`${layer}.attn1`, crossOnly ? contextChannels : inner),
      ...normSpecs(`${layer}.norm2`, inner),
      ...attentionSpecs(`${layer}.attn2`, contextChannels),
      ...normSpecs(`${layer}.norm3`, inner),
      ...linearSpecs(`${layer}.ff.net.0.proj`, inner, 2 * FEED_FORWARD * inner),
      ...linearSpecs(`${layer}.ff.net.2`, FEED_FORWARD * inner, inner),
    ]),
    ...projection('proj_out', inner, channels),
  ];
}

/**
 * The transformer of latent diffusion's U-Net (Rombach et al. 2022, appendix E.2.1; diffusers' Transformer2DModel):
 * norm and way in, layers of attention to the pixels, attention to the text and a gated feed-forward layer, way out,
 * plus the input.
 * @param x [N, H, W, C]
 * @param context the text, [N, T, contextChannels]
 * @returns [N, H, W, C]
 */
export function transformer(params: Params, plan: TransformerPlan, x: Tensor4D, context: Tensor3D): Tensor4D {
  const { name, channels } = plan;
  const [n, height, width] = x.shape;
  const inner = plan.heads * plan.headDim;
  const tokens = (t: Tensor4D, c: number): Tensor3D => tf.reshape(t, [n, height * width, c]);
  const pixels = (t: Tensor3D, c: number): Tensor4D => tf.reshape(t, [n, height, width, c]);
  return tf.tidy(() => {
    const normed = norm(params, `${name}.norm`, x, plan.groups, GROUP_EPS);
    let h = plan.linear
      ? dense(params, `${name}.proj_in`, tokens(normed, channels))
      : tokens(conv(params, `${name}.proj_in`, normed), inner); // [N, H·W, inner]
    for (let i = 0; i < plan.layers; i++) h = layer(params, plan, i, h, context);
    const out = plan.linear
      ? pixels(dense(params, `${name}.proj_out`, h), channels)
      : conv(params, `${name}.proj_out`, pixels(h, inner));
    return tf.add(out, x);
  });
}

/** One layer: [N, T, inner] → [N, T, inner]. */
function layer(
  params: Params,
  plan: TransformerPlan,
  index: number,
  x: Tensor3D,
  context: Tensor3D,
): Tensor3D {
  const at = `${plan.name}.transformer_blocks.${index}`;
  const normed = (which: string, t: Tensor3D) => tokenNorm(params, `${at}.${which}`, t, TOKEN_EPS);
  const attend = (which: string, t: Tensor3D, seen: Tensor3D): Tensor3D => {
    const q = dense(params, `${at}.${which}.to_q`, t, false);
    const k = dense(params, `${at}.${which}.to_k`, seen, false);
    const v = dense(params, `${at}.${which}.to_v`, seen, false);
    return dense(params, `${at}.${which}.to_out.0`, headedAttention(q, k, v, plan.heads));
  };
  const first = normed('norm1', x);
  let h = tf.add(x, attend('attn1', first, plan.crossOnly ? context : first)) as Tensor3D;
  h = tf.add(h, attend('attn2', normed('norm2', h), context));
  return tf.add(h, feedForward(params, `${at}.ff`, normed('norm3', h)));
}

/** GEGLU (Shazeer 2020, "GLU variants"): x·W · GELU(x·V), then a linear layer. */
function feedForward(params: Params, name: string, x: Tensor3D): Tensor3D {
  const both = dense(params, `${name}.net.0.proj`, x);
  const [value, gate] = tf.split(both, 2, 2) as Tensor3D[];
  return dense(params, `${name}.net.2`, tf.mul(value, activation('gelu', gate)) as Tensor3D);
}
