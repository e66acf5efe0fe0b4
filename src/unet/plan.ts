import type { AttentionPlan } from './attention.js';
import type { DownPlan, MidPlan, UpPlan } from './blocks.js';
import type { UNet2DConfig } from './config.js';
import type { ResnetPlan } from './resnet.js';

/** A UNet2D as a list of blocks. */
export interface UNet2DPlan {
  readonly tembChannels: number;
  readonly down: readonly DownPlan[];
  readonly mid: MidPlan | null;
  readonly up: readonly UpPlan[];
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Works out every block of the network, with diffusers' names and widths, from its config. */
export function planUNet2D(config: UNet2DConfig): UNet2DPlan {
  const { block_out_channels: widths, layers_per_block: layers, norm_num_groups: groups } = config;
  const eps = config.norm_eps;
  const levels = widths.length;
  const lowest = widths[levels - 1];
  const tembChannels = config.time_embedding_dim ?? 4 * widths[0];
  const timeScaleShift = config.resnet_time_scale_shift;

  const resnetOf = (name: string, inChannels: number, outChannels: number, outputScale = 1): ResnetPlan => {
    return { name, inChannels, outChannels, groups, eps, tembChannels, timeScaleShift, outputScale };
  };
  const attentionOf = (
    name: string,
    channels: number,
    normGroups: number | null,
    outputScale = 1,
  ): AttentionPlan => {
    const headDim = config.attention_head_dim ?? channels;
    return { name, channels, headDim, groups: normGroups, eps, outputScale };
  };

  const down = widths.map((out, level): DownPlan => {
    const name = `down_blocks.${level}`;
    const inp = widths[Math.max(level - 1, 0)];
    const attends = config.down_block_types[level] === 'AttnDownBlock2D';
    return {
      resnets: range(layers).map((i) => resnetOf(`${name}.resnets.${i}`, i === 0 ? inp : out, out)),
      attentions: attends
        ? range(layers).map((i) => attentionOf(`${name}.attentions.${i}`, out, groups))
        : [],
      downsampler:
        level === levels - 1
          ? null
          : { name: `${name}.downsamplers.0.conv`, channels: out, padding: config.downsample_padding },
    };
  });

  const scale = config.mid_block_scale_factor;
  // With scale and shift diffusers puts no norm before the middle's attention unless asked to.
  const midGroups = config.attn_norm_num_groups ?? (timeScaleShift === 'default' ? groups : null);
  const mid: MidPlan | null =
    config.mid_block_type === null
      ? null
      : {
          resnets: [
            resnetOf('mid_block.resnets.0', lowest, lowest, scale),
            resnetOf('mid_block.resnets.1', lowest, lowest, scale),
          ],
          attention: config.add_attention
            ? attentionOf('mid_block.attentions.0', lowest, midGroups, scale)
            : null,
        };

  const upwards = [...widths].reverse();
  const up = upwards.map((out, level): UpPlan => {
    const name = `up_blocks.${level}`;
    const below = upwards[Math.max(level - 1, 0)];
    const above = upwards[Math.min(level + 1, levels - 1)];
    // The way down left layers + 1 intermediates here; its first came in from the level above.
    const resnets = range(layers + 1).map((i) => {
      const skip = i === layers ? above : out;
      return resnetOf(`${name}.resnets.${i}`, (i === 0 ? below : out) + skip, out);
    });
    const attends = config.up_block_types[level] === 'AttnUpBlock2D';
    return {
      resnets,
      attentions: attends
        ? range(layers + 1).map((i) => attentionOf(`${name}.attentions.${i}`, out, groups))
        : [],
      upsampler: level === levels - 1 ? null : { name: `${name}.upsamplers.0.conv`, channels: out },
    };
  });

  return { tembChannels, down, mid, up };
}
