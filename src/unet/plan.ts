import type { AttentionPlan } from './attention.js';
import type { DownPlan, MidPlan, ResizePlan, UpPlan } from './blocks.js';
import type { UNet2DConfig } from './config.js';
import { type ResnetPlan, resnetPlan } from './resnet.js';

/** A UNet2D as a list of blocks. */
export interface UNet2DPlan {
  readonly tembChannels: number;
  readonly down: readonly DownPlan[];
  readonly mid: MidPlan | null;
  readonly up: readonly UpPlan[];
  /** Groups of the last norm. */
  readonly groupsOut: number;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Groups of a norm where the config leaves them open, as score SDEs have them. */
const openGroups = (channels: number) => Math.min(Math.floor(channels / 4), 32);

/** Groups of the norm before the attention of an AttnSkip block. */
const SKIP_ATTENTION_GROUPS = 32;

export const isSkipBlock = (type: string): boolean => /^(Attn)?Skip/.test(type);

/** What is the same for every block of a network. */
function parts(config: UNet2DConfig, tembChannels: number) {
  const { norm_eps: eps, act_fn: activation, resnet_time_scale_shift: timeScaleShift } = config;
  const resnetOf = (
    name: string,
    inChannels: number,
    outChannels: number,
    own: Partial<ResnetPlan> & Pick<ResnetPlan, 'groups'>,
  ): ResnetPlan =>
    resnetPlan({ name, inChannels, outChannels, eps, activation, tembChannels, timeScaleShift, ...own });
  const attentionOf = (
    name: string,
    channels: number,
    groups: number | null,
    outputScale = 1,
  ): AttentionPlan => {
    const headDim = config.attention_head_dim ?? channels;
    return { kind: 'self', name, channels, headDim, groups, eps, outputScale, spatialChannels: null };
  };
  return { resnetOf, attentionOf };
}

/**
 * Works out every block of the network, with diffusers' names and widths, from its config. Skip blocks (Song et al.
 * 2021, NCSN++) choose their groups by their widths and divide their sums by √2.
 */
export function planUNet2D(config: UNet2DConfig): UNet2DPlan {
  const { block_out_channels: widths, layers_per_block: layers } = config;
  const levels = widths.length;
  const lowest = widths[levels - 1];
  const tembChannels = config.time_embedding_dim ?? 4 * widths[0];
  const { resnetOf, attentionOf } = parts(config, tembChannels);
  // Null only where every block is a Skip block.
  const groups = config.norm_num_groups ?? 0;

  const down = widths.map((out, level): DownPlan => {
    const type = config.down_block_types[level];
    const name = `down_blocks.${level}`;
    const attends = type.startsWith('Attn');
    const skips = isSkipBlock(type);
    const outputScale = skips ? Math.SQRT2 : 1;
    const ins = range(layers).map((i) => (i === 0 ? widths[Math.max(level - 1, 0)] : out));
    const own = (inp: number) =>
      skips ? { groups: openGroups(inp), groupsOut: openGroups(out), outputScale } : { groups, outputScale };
    const halved = (resize: 'down' | 'fir-down', at: string): ResizePlan => {
      const shortcut = skips;
      return {
        kind: 'resnet',
        resnet: resnetOf(`${name}.${at}`, out, out, { ...own(out), resize, shortcut }),
      };
    };
    const halving = (): ResizePlan => {
      if (skips) return halved('fir-down', 'resnet_down');
      const byResnet = attends ? config.downsample_type === 'resnet' : type.startsWith('Resnet');
      if (byResnet) return halved('down', 'downsamplers.0');
      const padding = config.downsample_padding;
      return { kind: 'conv', name: `${name}.downsamplers.0.conv`, channels: out, padding };
    };
    const last = level === levels - 1;
    return {
      resnets: ins.map((inp, i) => resnetOf(`${name}.resnets.${i}`, inp, out, own(inp))),
      attentions: attends
        ? range(layers).map((i) =>
            attentionOf(`${name}.attentions.${i}`, out, skips ? SKIP_ATTENTION_GROUPS : groups, outputScale),
          )
        : [],
      downsampler: last ? null : halving(),
      skipConv: skips && !last ? { name: `${name}.skip_conv`, channels: out } : null,
    };
  });

  const scale = config.mid_block_scale_factor;
  const midOwn = { groups: config.norm_num_groups ?? openGroups(lowest), outputScale: scale };
  // With scale and shift diffusers puts no norm before the middle's attention unless asked to.
  const midGroups =
    config.attn_norm_num_groups ?? (config.resnet_time_scale_shift === 'default' ? midOwn.groups : null);
  const mid: MidPlan | null =
    config.mid_block_type === null
      ? null
      : {
          resnets: [
            resnetOf('mid_block.resnets.0', lowest, lowest, midOwn),
            resnetOf('mid_block.resnets.1', lowest, lowest, midOwn),
          ],
          attention: config.add_attention
            ? attentionOf('mid_block.attentions.0', lowest, midGroups, scale)
            : null,
        };

  const upwards = [...widths].reverse();
  const up = upwards.map((out, level): UpPlan => {
    const type = config.up_block_types[level];
    const name = `up_blocks.${level}`;
    const below = upwards[Math.max(level - 1, 0)];
    const above = upwards[Math.min(level + 1, levels - 1)];
    const attends = type.startsWith('Attn');
    const skips = isSkipBlock(type);
    const outputScale = skips ? Math.SQRT2 : 1;
    const own = { groups: skips ? openGroups(out) : groups, outputScale };
    // The way down left layers + 1 intermediates here; its first came in from the level above.
    const resnets = range(layers + 1).map((i) => {
      const [inp, skip] = [i === 0 ? below : out, i === layers ? above : out];
      // In AttnSkip blocks only the skip is quartered: a slip of diffusers' that its checkpoints are trained with.
      const open = attends ? Math.min(inp + Math.floor(skip / 4), 32) : openGroups(inp + skip);
      const norms = skips ? { groups: open, groupsOut: openGroups(out) } : {};
      return resnetOf(`${name}.resnets.${i}`, inp + skip, out, { ...own, ...norms });
    });
    const doubled = (resize: 'up' | 'fir-up', at: string): ResizePlan => {
      const shortcut = skips;
      return { kind: 'resnet', resnet: resnetOf(`${name}.${at}`, out, out, { ...own, resize, shortcut }) };
    };
    const doubling = (): ResizePlan => {
      if (skips) return doubled('fir-up', 'resnet_up');
      const byResnet = attends ? config.upsample_type === 'resnet' : type.startsWith('Resnet');
      if (byResnet) return doubled('up', 'upsamplers.0');
      return { kind: 'conv', name: `${name}.upsamplers.0.conv`, channels: out, padding: 1 };
    };
    const last = level === levels - 1;
    const attended = (i: number): AttentionPlan | null => {
      if (!skips) return attentionOf(`${name}.attentions.${i}`, out, groups);
      if (i < layers) return null; // an AttnSkip block attends once, at its end
      return attentionOf(`${name}.attentions.0`, out, SKIP_ATTENTION_GROUPS, outputScale);
    };
    const adds = last ? null : { name, channels: out, groups: openGroups(out), eps: config.norm_eps };
    return {
      resnets,
      attentions: attends ? range(layers + 1).map(attended) : [],
      upsampler: last ? null : doubling(),
      skip: skips ? { adds } : null,
    };
  });

  const groupsOut = config.norm_num_groups ?? openGroups(widths[0]);
  return { tembChannels, down, mid, up, groupsOut };
}
