import { z } from 'zod';
import { InputError } from '../errors.js';
import { activationSchema } from '../unet/activations.js';
import { parseConfig, positive } from '../unet/validate.js';

/** diffusers' name for the network, `_class_name` in vae/config.json. */
export const TINY_CLASS_NAME = 'AutoencoderTiny';

const counts = z.array(z.number().int().min(0)).min(1);

const schema = z.strictObject({
  in_channels: positive.default(3),
  out_channels: positive.default(3),
  encoder_block_out_channels: z.array(positive).min(1).default([64, 64, 64, 64]),
  decoder_block_out_channels: z.array(positive).min(1).default([64, 64, 64, 64]),
  /** diffusers' copy of decoder_block_out_channels; without effect. */
  block_out_channels: z.array(positive).optional(),
  act_fn: activationSchema.default('relu'),
  upsample_fn: z.literal('nearest', 'use "nearest"').default('nearest'),
  latent_channels: positive.default(4),
  upsampling_scaling_factor: positive.default(2),
  /** Residual blocks of each stage. */
  num_encoder_blocks: counts.default([1, 3, 3, 3]),
  num_decoder_blocks: counts.default([3, 3, 3, 1]),
  /** Latents in ±latent_magnitude become [0, 1] where they are stored as a picture (`packLatents`). */
  latent_magnitude: z.number().positive().default(3),
  latent_shift: z.number().default(0.5),
  /** Advice to half-precision users; without effect here. */
  force_upcast: z.boolean().default(false),
  /** Latents, less shift_factor, are multiplied by this for the diffusion model. */
  scaling_factor: z.number().positive().default(1),
  shift_factor: z.number().nullable().default(0),
});

/** A whole AutoencoderTiny config under diffusers' keys, defaults filled in. */
export type TinyConfig = Readonly<z.output<typeof schema>>;

/** What may be left out is diffusers' default. */
export type TinyInput = Readonly<z.input<typeof schema>>;

/**
 * Checks and completes an AutoencoderTiny config.
 * @param value parsed vae/config.json, or an object with some of its keys
 * @param where the file or option it came from, for messages
 * @throws InputError naming the key that is unknown, unsupported or at odds with another
 */
export function parseTinyConfig(value: unknown, where = 'vae/config.json'): TinyConfig {
  const config = parseConfig(schema, value, TINY_CLASS_NAME, where);
  for (const half of ['encoder', 'decoder'] as const) {
    const [key, widths] = [`${half}_block_out_channels`, config[`${half}_block_out_channels`]];
    const blocks = config[`num_${half}_blocks`];
    if (widths.length !== blocks.length) {
      throw new InputError(
        `${key} has ${widths.length} entries, num_${half}_blocks ${blocks.length} — ${where} — give one for each stage`,
      );
    }
    if (widths.some((width) => width !== widths[0])) {
      throw new InputError(
        `${key} ${widths.join(', ')} — ${where} — make them equal: no layer leads from one width to another`,
      );
    }
  }
  const [down, up] = [tinyDownscale(config), enlargement(config)];
  if (down !== up) {
    throw new InputError(
      `the encoder reduces ${down} times, the decoder enlarges ${up} times — ${where} — mend num_decoder_blocks or upsampling_scaling_factor`,
    );
  }
  return config;
}

/** How many pixels, along one side, one latent stands for. */
export function tinyDownscale(config: TinyConfig): number {
  return 2 ** (config.num_encoder_blocks.length - 1);
}

function enlargement(config: TinyConfig): number {
  return config.upsampling_scaling_factor ** (config.num_decoder_blocks.length - 1);
}
