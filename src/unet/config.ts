import { z } from 'zod';
import { InputError } from '../errors.js';
import { activationSchema, checkBlocks, checkGroups, parseConfig, positive, sizeSchema } from './validate.js';

/** diffusers' name for the network, `_class_name` in unet/config.json. */
export const UNET2D_CLASS_NAME = 'UNet2DModel';

const schema = z.strictObject({
  /** Size the model is made for; null leaves it open. */
  sample_size: sizeSchema.nullable().default(null),
  in_channels: positive.default(3),
  out_channels: positive.default(3),
  /** Maps inputs in [0, 1] to [-1, 1] first. */
  center_input_sample: z.boolean().default(false),
  time_embedding_type: z.literal('positional').default('positional'),
  /** Width of the time embedding; null means 4 × block_out_channels[0]. */
  time_embedding_dim: positive.nullable().default(null),
  freq_shift: z.number().default(0),
  /** true: cosines first. */
  flip_sin_to_cos: z.boolean().default(true),
  down_block_types: z
    .array(z.enum(['DownBlock2D', 'AttnDownBlock2D']))
    .min(1)
    .default(['DownBlock2D', 'AttnDownBlock2D', 'AttnDownBlock2D', 'AttnDownBlock2D']),
  mid_block_type: z.literal('UNetMidBlock2D').nullable().default('UNetMidBlock2D'),
  up_block_types: z
    .array(z.enum(['UpBlock2D', 'AttnUpBlock2D']))
    .min(1)
    .default(['AttnUpBlock2D', 'AttnUpBlock2D', 'AttnUpBlock2D', 'UpBlock2D']),
  block_out_channels: z.array(positive).min(1).default([224, 448, 672, 896]),
  layers_per_block: positive.default(2),
  mid_block_scale_factor: z.number().positive().default(1),
  /** 1 pads all sides of a downsampling convolution, 0 only right and bottom (as DDPM does). */
  downsample_padding: z.union([z.literal(0), z.literal(1)], 'use 0 or 1').default(1),
  downsample_type: z.literal('conv').default('conv'),
  upsample_type: z.literal('conv').default('conv'),
  dropout: z.literal(0, 'set it to 0: dropout changes nothing in sampling').default(0),
  act_fn: activationSchema.default('silu'),
  /** Channels per attention head; null gives each attention one head. */
  attention_head_dim: positive.nullable().default(8),
  norm_num_groups: positive.default(32),
  /** Groups of the norm before the middle's attention; null: norm_num_groups, or no norm with 'scale_shift'. */
  attn_norm_num_groups: positive.nullable().default(null),
  norm_eps: z.number().positive().default(1e-5),
  resnet_time_scale_shift: z.enum(['default', 'scale_shift']).default('default'),
  add_attention: z.boolean().default(true),
  class_embed_type: z.enum(['timestep', 'identity']).nullable().default(null),
  /**
   * Rows of the table of class embeddings. For classifier-free guidance (Ho & Salimans 2022) make it one larger
   * than the number of classes and let the last label, num_class_embeds - 1, mean "no class". Ignored where
   * class_embed_type is set.
   */
  num_class_embeds: positive.nullable().default(null),
  /** Only of use with learned time embeddings, which are not supported; kept so that configs round-trip. */
  num_train_timesteps: positive.nullable().default(null),
});

/** A whole UNet2DModel config under diffusers' keys, defaults filled in. */
export type UNet2DConfig = Readonly<z.output<typeof schema>>;

/** What may be left out is diffusers' default. */
export type UNet2DConfigInput = Readonly<z.input<typeof schema>>;

/**
 * Checks and completes a UNet2DModel config.
 * @param value parsed unet/config.json, or an object with some of its keys
 * @param where the file or option it came from, for messages
 * @throws InputError naming the key that is unknown, unsupported or at odds with another
 */
export function parseUNet2DConfig(value: unknown, where = 'unet/config.json'): UNet2DConfig {
  const config = parseConfig(schema, value, UNET2D_CLASS_NAME, where);
  checkBlocks(config, where);
  const { block_out_channels: channels, attention_head_dim: headDim } = config;
  const last = channels[channels.length - 1];
  if (config.attn_norm_num_groups !== null) {
    checkGroups('attn_norm_num_groups', config.attn_norm_num_groups, [last], where);
  }
  const attended = [
    ...channels.filter((_, i) => config.down_block_types[i].startsWith('Attn')),
    ...[...channels].reverse().filter((_, i) => config.up_block_types[i].startsWith('Attn')),
    ...(config.mid_block_type !== null && config.add_attention ? [last] : []),
  ];
  if (headDim !== null && attended.some((c) => c < headDim)) {
    throw new InputError(
      `attention_head_dim ${headDim} is larger than the ${Math.min(...attended)} channels it divides — ` +
        `${where} — make it smaller, or null for one head`,
    );
  }
  return config;
}
