import { z } from 'zod';
import { InputError } from '../errors.js';
import { activationSchema } from './activations.js';
import { SKIP_CHANNELS } from './blocks.js';
import { isSkipBlock, planUNet2D, type UNet2DPlan } from './plan.js';
import { checkBlocks, checkGroups, parseConfig, positive, sizeSchema } from './validate.js';

/** diffusers' name for the network, `_class_name` in unet/config.json. */
export const UNET2D_CLASS_NAME = 'UNet2DModel';

const downBlockTypes = [
  'DownBlock2D',
  'AttnDownBlock2D',
  'ResnetDownsampleBlock2D',
  'SkipDownBlock2D',
  'AttnSkipDownBlock2D',
] as const;
const upBlockTypes = [
  'UpBlock2D',
  'AttnUpBlock2D',
  'ResnetUpsampleBlock2D',
  'SkipUpBlock2D',
  'AttnSkipUpBlock2D',
] as const;

const schema = z.strictObject({
  /** Size the model is made for; null leaves it open. */
  sample_size: sizeSchema.nullable().default(null),
  in_channels: positive.default(3),
  out_channels: positive.default(3),
  /** Maps inputs in [0, 1] to [-1, 1] first. */
  center_input_sample: z.boolean().default(false),
  /** Sinusoids of the timestep, random Fourier features of its logarithm, or a table of num_train_timesteps rows. */
  time_embedding_type: z.enum(['positional', 'fourier', 'learned']).default('positional'),
  /** Width of the time embedding; null means 4 × block_out_channels[0]. */
  time_embedding_dim: positive.nullable().default(null),
  freq_shift: z.number().default(0),
  /** true: cosines first. Both keys are for positional embeddings. */
  flip_sin_to_cos: z.boolean().default(true),
  down_block_types: z
    .array(z.enum(downBlockTypes))
    .min(1)
    .default(['DownBlock2D', 'AttnDownBlock2D', 'AttnDownBlock2D', 'AttnDownBlock2D']),
  mid_block_type: z.literal('UNetMidBlock2D').nullable().default('UNetMidBlock2D'),
  up_block_types: z
    .array(z.enum(upBlockTypes))
    .min(1)
    .default(['AttnUpBlock2D', 'AttnUpBlock2D', 'AttnUpBlock2D', 'UpBlock2D']),
  block_out_channels: z.array(positive).min(1).default([224, 448, 672, 896]),
  layers_per_block: positive.default(2),
  mid_block_scale_factor: z.number().positive().default(1),
  /** 1 pads all sides of a downsampling convolution, 0 only right and bottom (as DDPM does). */
  downsample_padding: z.union([z.literal(0), z.literal(1)], 'use 0 or 1').default(1),
  /** How attention blocks halve and double; the other types of block say it in their name. */
  downsample_type: z.enum(['conv', 'resnet']).default('conv'),
  upsample_type: z.enum(['conv', 'resnet']).default('conv'),
  /** Without effect in drawing; training refuses any but 0. */
  dropout: z.number().min(0).max(1).default(0),
  act_fn: activationSchema.default('silu'),
  /** Channels per attention head; null gives each attention one head. */
  attention_head_dim: positive.nullable().default(8),
  /** Null, which only networks of nothing but Skip blocks can have: ⌊channels / 4⌋, 32 at most. */
  norm_num_groups: positive.nullable().default(32),
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
  /** Rows of the table of learned time embeddings; timesteps are whole numbers below it. */
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
  const config = parseConfig(schema, withoutPrefix(value), UNET2D_CLASS_NAME, where);
  checkBlocks(config, where);
  checkTime(config, where);
  const { block_out_channels: channels, attention_head_dim: headDim } = config;
  const last = channels[channels.length - 1];
  if (config.attn_norm_num_groups !== null) {
    checkGroups('attn_norm_num_groups', config.attn_norm_num_groups, [last], where);
  }
  const levelsOf = (test: (type: string) => boolean) => [
    ...channels.filter((_, i) => test(config.down_block_types[i])),
    ...[...channels].reverse().filter((_, i) => test(config.up_block_types[i])),
  ];
  const attended = [
    ...levelsOf((type) => type.startsWith('Attn')),
    ...(config.mid_block_type !== null && config.add_attention ? [last] : []),
  ];
  if (headDim !== null && attended.some((c) => c < headDim)) {
    throw new InputError(
      `attention_head_dim ${headDim} is larger than the ${Math.min(...attended)} channels it divides — ` +
        `${where} — make it smaller, or null for one head`,
    );
  }
  const plain = levelsOf((type) => !isSkipBlock(type));
  if (config.norm_num_groups !== null) {
    const middle = config.mid_block_type === null ? [] : [last];
    checkGroups('norm_num_groups', config.norm_num_groups, [channels[0], ...plain, ...middle], where);
  } else if (plain.length > 0) {
    throw new InputError(
      `unsupported norm_num_groups: null — ${where} — give a number: only Skip blocks choose their own groups`,
    );
  }
  checkSkips(config, where);
  checkNorms(planUNet2D(config), where);
  return config;
}

/** Block types under the names of diffusers' first releases, `UNetResDownBlock2D` and the like, as they are called now. */
function withoutPrefix(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const strip = (types: unknown) =>
    Array.isArray(types)
      ? types.map((type) => (typeof type === 'string' ? type.replace(/^UNetRes/, '') : type))
      : types;
  const keys = Object.entries(value).map(([key, given]) => [
    key,
    /^(down|up)_block_types$/.test(key) ? strip(given) : given,
  ]);
  return Object.fromEntries(keys);
}

/** @throws InputError when the time embedding lacks what it is made of */
function checkTime(config: UNet2DConfig, where: string): void {
  const { time_embedding_type: type, num_train_timesteps: rows, freq_shift: shift } = config;
  if (type === 'learned' && rows === null) {
    throw new InputError(
      `time_embedding_type "learned" without num_train_timesteps — ${where} — give the table's number of rows`,
    );
  }
  if (type === 'positional' && Math.floor(config.block_out_channels[0] / 2) === shift) {
    throw new InputError(
      `freq_shift ${shift} leaves no frequencies to block_out_channels ${config.block_out_channels[0]} — ` +
        `${where} — make the first width larger`,
    );
  }
}

/**
 * The picture that Skip blocks pass on must arrive in the size of their level: no other block may stand between.
 * @throws InputError naming the block that is in the way, or the channels that Skip blocks do not have
 */
function checkSkips(config: UNet2DConfig, where: string): void {
  const { down_block_types: down, up_block_types: up } = config;
  const last = down.length - 1;
  const late = down.findIndex((type, i) => isSkipBlock(type) && i < last && down.slice(0, i).some(notSkip));
  const early = up.findIndex((type, i) => isSkipBlock(type) && i < last && up.slice(i + 1).some(notSkip));
  const found = late >= 0 ? { key: 'down_block_types', at: late, side: 'before' } : null;
  const wrong = found ?? (early >= 0 ? { key: 'up_block_types', at: early, side: 'after' } : null);
  if (wrong) {
    const type = (wrong.side === 'before' ? down : up)[wrong.at];
    throw new InputError(
      `${wrong.key}.${wrong.at}: ${type} passes a picture on, which other blocks do not — ${where} — ` +
        `use Skip blocks for all ${wrong.side} it`,
    );
  }
  const skips = (types: readonly string[]) => types.slice(0, last).some(isSkipBlock);
  for (const [key, types] of [
    ['in_channels', down],
    ['out_channels', up],
  ] as const) {
    if (skips(types) && config[key] !== SKIP_CHANNELS) {
      throw new InputError(
        `${key} ${config[key]} with Skip blocks — ${where} — set it to ${SKIP_CHANNELS}: diffusers' Skip blocks know no other`,
      );
    }
  }
}

const notSkip = (type: string) => !isSkipBlock(type);

/** @throws InputError naming a block whose channels its norms cannot group */
function checkNorms({ down, mid, up }: UNet2DPlan, where: string): void {
  const resized = [...down.map((p) => p.downsampler), ...up.map((p) => p.upsampler)];
  const resnets = [
    ...[...down, ...up, ...(mid ? [mid] : [])].flatMap((p) => p.resnets),
    ...resized.flatMap((p) => (p?.kind === 'resnet' ? [p.resnet] : [])),
  ];
  const attentions = [...down, ...up].flatMap((p) => p.attentions).filter((p) => p !== null);
  const norms = [
    ...resnets.flatMap((p) => [
      { name: `${p.name}.norm1`, groups: p.groups, channels: p.inChannels },
      { name: `${p.name}.norm2`, groups: p.groupsOut, channels: p.outChannels },
    ]),
    ...attentions.map((p) => ({ name: `${p.name}.group_norm`, groups: p.groups ?? 1, channels: p.channels })),
  ];
  const bad = norms.find(({ groups, channels }) => groups < 1 || channels % groups !== 0);
  if (!bad) return;
  throw new InputError(
    `block_out_channels make ${bad.channels} channels at ${bad.name}, which has ${bad.groups} groups — ${where} — ` +
      'use widths that the groups divide: multiples of 32 suit every block',
  );
}
