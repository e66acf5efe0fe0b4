import { z } from 'zod';
import { InputError } from '../errors.js';
import { activationSchema } from './activations.js';
import { checkBlocks, checkGroups, parseConfig, positive, sizeSchema } from './validate.js';

/** diffusers' name for the network, `_class_name` in unet/config.json. */
export const CONDITION_CLASS_NAME = 'UNet2DConditionModel';

/** A key that other members of the family need: only its default is known here. */
const only = <T extends string | number | boolean | null>(value: T) =>
  z.literal(value, `use a model that has ${JSON.stringify(value)} here`).default(value as never);

const perLevel = <T extends z.ZodType>(one: T) => z.union([one, z.array(one).min(1)]);

const schema = z.strictObject({
  /** Size of the latents that the model is made for; null leaves it open. */
  sample_size: sizeSchema.nullable().default(null),
  /** 4, or 9 for inpainting: latents, mask, latents of the masked picture. */
  in_channels: positive.default(4),
  out_channels: positive.default(4),
  center_input_sample: z.boolean().default(false),
  /** true: cosines first. */
  flip_sin_to_cos: z.boolean().default(true),
  freq_shift: z.number().default(0),
  down_block_types: z
    .array(z.enum(['CrossAttnDownBlock2D', 'DownBlock2D']))
    .min(1)
    .default(['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D']),
  mid_block_type: z.literal('UNetMidBlock2DCrossAttn').nullable().default('UNetMidBlock2DCrossAttn'),
  up_block_types: z
    .array(z.enum(['UpBlock2D', 'CrossAttnUpBlock2D']))
    .min(1)
    .default(['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D']),
  /** Whether transformers never look at the pixels; for all levels, or for each from the top. */
  only_cross_attention: perLevel(z.boolean()).default(false),
  block_out_channels: z.array(positive).min(1).default([320, 640, 1280, 1280]),
  layers_per_block: perLevel(positive).default(2),
  /** 1 pads all sides of a downsampling convolution, 0 only right and bottom. */
  downsample_padding: z.union([z.literal(0), z.literal(1)], 'use 0 or 1').default(1),
  mid_block_scale_factor: z.number().positive().default(1),
  /** Without effect in drawing. */
  dropout: z.number().min(0).max(1).default(0),
  act_fn: activationSchema.default('silu'),
  norm_num_groups: positive.default(32),
  norm_eps: z.number().positive().default(1e-5),
  /** Channels of the text's tokens. */
  cross_attention_dim: perLevel(positive).default(1280),
  transformer_layers_per_block: perLevel(positive).default(1),
  /** The number of heads, in spite of its name: a slip of diffusers' that its checkpoints are written with. */
  attention_head_dim: perLevel(positive).default(8),
  /** The ways into and out of a transformer: linear layers, or 1×1 convolutions. */
  use_linear_projection: z.boolean().default(false),
  /** Advice to half-precision users; without effect here. */
  upcast_attention: z.boolean().default(false),
  resnet_time_scale_shift: z.enum(['default', 'scale_shift']).default('default'),
  /** Width of the time embedding; null means 4 × block_out_channels[0]. */
  time_embedding_dim: positive.nullable().default(null),
  /** Of middles of another type; without effect. */
  mid_block_only_cross_attention: z.boolean().nullable().default(null),
  addition_embed_type_num_heads: positive.default(64),
  num_attention_heads: only(null),
  dual_cross_attention: only(false),
  reverse_transformer_layers_per_block: only(null),
  encoder_hid_dim: only(null),
  encoder_hid_dim_type: only(null),
  class_embed_type: only(null),
  num_class_embeds: only(null),
  addition_embed_type: only(null),
  addition_time_embed_dim: only(null),
  resnet_skip_time_act: only(false),
  resnet_out_scale_factor: only(1),
  time_embedding_type: only('positional'),
  time_embedding_act_fn: only(null),
  timestep_post_act: only(null),
  time_cond_proj_dim: only(null),
  conv_in_kernel: only(3),
  conv_out_kernel: only(3),
  projection_class_embeddings_input_dim: only(null),
  attention_type: only('default'),
  class_embeddings_concat: only(false),
  cross_attention_norm: only(null),
});

/** A whole UNet2DConditionModel config under diffusers' keys, defaults filled in. */
export type UNet2DConditionConfig = Readonly<z.output<typeof schema>>;

/** What may be left out is diffusers' default. */
export type UNet2DConditionInput = Readonly<z.input<typeof schema>>;

/** A value for each level, from the top. */
export function levelsOf<T>(value: T | readonly T[], levels: number): readonly T[] {
  return Array.isArray(value) ? value : new Array<T>(levels).fill(value as T);
}

/**
 * Checks and completes a UNet2DConditionModel config.
 * @param value parsed unet/config.json, or an object with some of its keys
 * @param where the file or option it came from, for messages
 * @throws InputError naming the key that is unknown, unsupported or at odds with another
 */
export function parseUNet2DConditionConfig(
  value: unknown,
  where = 'unet/config.json',
): UNet2DConditionConfig {
  const config = parseConfig(schema, value, CONDITION_CLASS_NAME, where);
  const { block_out_channels: channels } = config;
  // Sizes may round up where a halving pads all sides.
  checkBlocks({ ...config, sample_size: config.downsample_padding === 1 ? null : config.sample_size }, where);
  checkGroups('norm_num_groups', config.norm_num_groups, channels, where);
  const keys = [
    'only_cross_attention',
    'layers_per_block',
    'cross_attention_dim',
    'transformer_layers_per_block',
    'attention_head_dim',
  ] as const;
  for (const key of keys) {
    const given = config[key];
    if (Array.isArray(given) && given.length !== channels.length) {
      throw new InputError(
        `${key} has ${given.length} entries, block_out_channels ${channels.length} — ${where} — ` +
          'give one for each width, or one number',
      );
    }
  }
  const widths = levelsOf(config.cross_attention_dim, 1);
  if (widths.some((width) => width !== widths[0])) {
    throw new InputError(
      `cross_attention_dim ${widths.join(', ')} — ${where} — make them equal: one text is shown to all levels`,
    );
  }
  const heads = levelsOf(config.attention_head_dim, channels.length);
  const odd = channels.findIndex((c, i) => c % heads[i] !== 0);
  if (odd >= 0) {
    throw new InputError(
      `attention_head_dim ${heads[odd]} (the number of heads) does not divide ${channels[odd]} channels — ` +
        `${where} — use a divisor of block_out_channels`,
    );
  }
  if (Math.floor(channels[0] / 2) === config.freq_shift) {
    throw new InputError(
      `freq_shift ${config.freq_shift} leaves no frequencies to block_out_channels ${channels[0]} — ` +
        `${where} — make the first width larger`,
    );
  }
  return config;
}

/** Channels of the text's tokens. */
export function contextChannels({ cross_attention_dim: given }: UNet2DConditionConfig): number {
  return levelsOf(given, 1)[0];
}
