import type { ActivationName } from '../unet/activations.js';
import type { AttentionPlan } from '../unet/attention.js';
import type { DownPlan, MidPlan, UpPlan } from '../unet/blocks.js';
import { type ResnetPlan, resnetPlan } from '../unet/resnet.js';

/** Epsilon of every norm in the encoder and decoder, but for spatial ones. */
export const NORM_EPS = 1e-6;

/** Block types of the encoder and the decoder; Attn ones attend after each residual block, with one head. */
export const ENCODER_BLOCKS = ['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'] as const;
export const DECODER_BLOCKS = ['UpDecoderBlock2D', 'AttnUpDecoderBlock2D'] as const;

/** The keys that AutoencoderKL and VQModel share: what encoder and decoder are built by. */
export interface CoderConfig {
  readonly in_channels: number;
  readonly out_channels: number;
  readonly latent_channels: number;
  readonly block_out_channels: readonly number[];
  readonly down_block_types: readonly (typeof ENCODER_BLOCKS)[number][];
  readonly up_block_types: readonly (typeof DECODER_BLOCKS)[number][];
  readonly layers_per_block: number;
  readonly norm_num_groups: number;
  readonly act_fn: ActivationName;
  readonly mid_block_add_attention: boolean;
  /** With 'spatial' the decoder's norms depend on the quantized latents. Default 'group'. */
  readonly norm_type?: 'group' | 'spatial';
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Block makers for one half. */
function parts(config: CoderConfig, half: 'encoder' | 'decoder') {
  const spatial = half === 'decoder' && config.norm_type === 'spatial';
  const resnetOf = (name: string, inChannels: number, outChannels: number): ResnetPlan =>
    resnetPlan({
      name,
      inChannels,
      outChannels,
      groups: config.norm_num_groups,
      eps: NORM_EPS,
      activation: config.act_fn,
      ...(spatial ? { tembChannels: config.latent_channels, timeScaleShift: 'spatial' } : {}),
    });
  const attentionOf = (name: string, channels: number): AttentionPlan => ({
    kind: 'self',
    name,
    channels,
    headDim: channels,
    groups: spatial ? null : config.norm_num_groups,
    spatialChannels: spatial ? config.latent_channels : null,
    eps: NORM_EPS,
    outputScale: 1,
  });
  return { resnetOf, attentionOf };
}

/** The middle of the encoder or decoder: one head over all channels. */
export function planMid(config: CoderConfig, half: 'encoder' | 'decoder'): MidPlan {
  const { resnetOf, attentionOf } = parts(config, half);
  const channels = config.block_out_channels[config.block_out_channels.length - 1];
  const name = `${half}.mid_block`;
  return {
    resnets: [
      resnetOf(`${name}.resnets.0`, channels, channels),
      resnetOf(`${name}.resnets.1`, channels, channels),
    ],
    attention: config.mid_block_add_attention ? attentionOf(`${name}.attentions.0`, channels) : null,
  };
}

/** The encoder's blocks, from the picture down. */
export function planEncoder(config: CoderConfig): DownPlan[] {
  const { resnetOf, attentionOf } = parts(config, 'encoder');
  const widths = config.block_out_channels;
  return widths.map((out, level) => {
    const name = `encoder.down_blocks.${level}`;
    const inp = widths[Math.max(level - 1, 0)];
    const layers = range(config.layers_per_block);
    const attends = config.down_block_types[level] === 'AttnDownEncoderBlock2D';
    return {
      resnets: layers.map((i) => resnetOf(`${name}.resnets.${i}`, i === 0 ? inp : out, out)),
      attentions: attends ? layers.map((i) => attentionOf(`${name}.attentions.${i}`, out)) : [],
      downsampler:
        level === widths.length - 1
          ? null
          : { kind: 'conv', name: `${name}.downsamplers.0.conv`, channels: out, padding: 0 },
      skipConv: null,
    };
  });
}

/** The decoder's blocks, from the latents up. */
export function planDecoder(config: CoderConfig): UpPlan[] {
  const { resnetOf, attentionOf } = parts(config, 'decoder');
  const widths = [...config.block_out_channels].reverse();
  return widths.map((out, level) => {
    const name = `decoder.up_blocks.${level}`;
    const inp = widths[Math.max(level - 1, 0)];
    const layers = range(config.layers_per_block + 1);
    const attends = config.up_block_types[level] === 'AttnUpDecoderBlock2D';
    return {
      resnets: layers.map((i) => resnetOf(`${name}.resnets.${i}`, i === 0 ? inp : out, out)),
      attentions: attends ? layers.map((i) => attentionOf(`${name}.attentions.${i}`, out)) : [],
      upsampler:
        level === widths.length - 1
          ? null
          : { kind: 'conv', name: `${name}.upsamplers.0.conv`, channels: out, padding: 1 },
      skip: null,
    };
  });
}
