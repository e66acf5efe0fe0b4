import type { DownPlan, MidPlan, UpPlan } from '../unet/blocks.js';
import type { ResnetPlan } from '../unet/resnet.js';
import type { AutoencoderConfig } from './config.js';

/** Epsilon of every norm in AutoencoderKL. */
export const NORM_EPS = 1e-6;

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

function resnetOf(
  config: AutoencoderConfig,
  name: string,
  inChannels: number,
  outChannels: number,
): ResnetPlan {
  return {
    name,
    inChannels,
    outChannels,
    groups: config.norm_num_groups,
    eps: NORM_EPS,
    tembChannels: null,
    timeScaleShift: 'default',
    outputScale: 1,
  };
}

/** The middle of the encoder or decoder: one head over all channels. */
export function planMid(config: AutoencoderConfig, half: 'encoder' | 'decoder'): MidPlan {
  const channels = config.block_out_channels[config.block_out_channels.length - 1];
  const name = `${half}.mid_block`;
  return {
    resnets: [
      resnetOf(config, `${name}.resnets.0`, channels, channels),
      resnetOf(config, `${name}.resnets.1`, channels, channels),
    ],
    attention: config.mid_block_add_attention
      ? {
          name: `${name}.attentions.0`,
          channels,
          headDim: channels,
          groups: config.norm_num_groups,
          eps: NORM_EPS,
          outputScale: 1,
        }
      : null,
  };
}

/** The encoder's blocks, from the picture down. */
export function planEncoder(config: AutoencoderConfig): DownPlan[] {
  const widths = config.block_out_channels;
  return widths.map((out, level) => {
    const name = `encoder.down_blocks.${level}`;
    const inp = widths[Math.max(level - 1, 0)];
    return {
      resnets: range(config.layers_per_block).map((i) =>
        resnetOf(config, `${name}.resnets.${i}`, i === 0 ? inp : out, out),
      ),
      attentions: [],
      downsampler:
        level === widths.length - 1
          ? null
          : { name: `${name}.downsamplers.0.conv`, channels: out, padding: 0 as const },
    };
  });
}

/** The decoder's blocks, from the latents up. */
export function planDecoder(config: AutoencoderConfig): UpPlan[] {
  const widths = [...config.block_out_channels].reverse();
  return widths.map((out, level) => {
    const name = `decoder.up_blocks.${level}`;
    const inp = widths[Math.max(level - 1, 0)];
    return {
      resnets: range(config.layers_per_block + 1).map((i) =>
        resnetOf(config, `${name}.resnets.${i}`, i === 0 ? inp : out, out),
      ),
      attentions: [],
      upsampler: level === widths.length - 1 ? null : { name: `${name}.upsamplers.0.conv`, channels: out },
    };
  });
}
