import type { DownPlan, MidPlan, ResizePlan, UpPlan } from './blocks.js';
import { levelsOf, type UNet2DConditionConfig } from './condition-config.js';
import { type ResnetPlan, resnetPlan } from './resnet.js';
import type { TransformerPlan } from './transformer.js';

/** A UNet2DCondition as a list of blocks. */
export interface UNet2DConditionPlan {
  readonly tembChannels: number;
  readonly down: readonly DownPlan[];
  readonly mid: MidPlan | null;
  readonly up: readonly UpPlan[];
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Works out every block of the network, with diffusers' names and widths, from its config. */
export function planUNet2DCondition(config: UNet2DConditionConfig): UNet2DConditionPlan {
  const { block_out_channels: widths, norm_num_groups: groups } = config;
  const levels = widths.length;
  const lowest = levels - 1;
  const tembChannels = config.time_embedding_dim ?? 4 * widths[0];
  const layers = levelsOf(config.layers_per_block, levels);
  const heads = levelsOf(config.attention_head_dim, levels);
  const contexts = levelsOf(config.cross_attention_dim, levels);
  const depths = levelsOf(config.transformer_layers_per_block, levels);
  const crossOnly = levelsOf(config.only_cross_attention, levels);

  const resnetOf = (name: string, inChannels: number, outChannels: number, outputScale = 1): ResnetPlan =>
    resnetPlan({
      name,
      inChannels,
      outChannels,
      groups,
      eps: config.norm_eps,
      activation: config.act_fn,
      tembChannels,
      timeScaleShift: config.resnet_time_scale_shift,
      outputScale,
    });
  const transformerOf = (name: string, level: number, only = crossOnly[level]): TransformerPlan => ({
    kind: 'transformer',
    name,
    channels: widths[level],
    heads: heads[level],
    headDim: widths[level] / heads[level],
    contextChannels: contexts[level],
    layers: depths[level],
    groups,
    linear: config.use_linear_projection,
    crossOnly: only,
  });
  const resizeOf = (name: string, channels: number, padding: 0 | 1): ResizePlan => ({
    kind: 'conv',
    name: `${name}.conv`,
    channels,
    padding,
  });

  const down = widths.map((out, level): DownPlan => {
    const name = `down_blocks.${level}`;
    const ins = range(layers[level]).map((i) => (i === 0 ? widths[Math.max(level - 1, 0)] : out));
    const attends = config.down_block_types[level] === 'CrossAttnDownBlock2D';
    return {
      resnets: ins.map((inp, i) => resnetOf(`${name}.resnets.${i}`, inp, out)),
      attentions: attends ? ins.map((_, i) => transformerOf(`${name}.attentions.${i}`, level)) : [],
      downsampler:
        level === lowest ? null : resizeOf(`${name}.downsamplers.0`, out, config.downsample_padding),
      skipConv: null,
    };
  });

  const scale = config.mid_block_scale_factor;
  const mid: MidPlan | null =
    config.mid_block_type === null
      ? null
      : {
          resnets: [
            resnetOf('mid_block.resnets.0', widths[lowest], widths[lowest], scale),
            resnetOf('mid_block.resnets.1', widths[lowest], widths[lowest], scale),
          ],
          // The middle always looks at the pixels too.
          attention: transformerOf('mid_block.attentions.0', lowest, false),
        };

  const up = widths.map((_, step): UpPlan => {
    const level = lowest - step;
    const name = `up_blocks.${step}`;
    const out = widths[level];
    const below = widths[Math.min(level + 1, lowest)];
    const above = widths[Math.max(level - 1, 0)];
    // The way down left layers + 1 intermediates here; its first came in from the level above.
    const count = layers[level] + 1;
    const attends = config.up_block_types[step] === 'CrossAttnUpBlock2D';
    return {
      resnets: range(count).map((i) => {
        const [inp, skip] = [i === 0 ? below : out, i === count - 1 ? above : out];
        return resnetOf(`${name}.resnets.${i}`, inp + skip, out);
      }),
      attentions: attends ? range(count).map((i) => transformerOf(`${name}.attentions.${i}`, level)) : [],
      upsampler: level === 0 ? null : resizeOf(`${name}.upsamplers.0`, out, 1),
      skip: null,
    };
  });
  return { tembChannels, down, mid, up };
}
