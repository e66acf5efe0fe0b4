import { z } from 'zod';
import { InputError } from '../errors.js';
import { activationSchema } from '../unet/activations.js';
import { checkBlocks, checkGroups, parseConfig, positive, sizeSchema } from '../unet/validate.js';
import { DECODER_BLOCKS, ENCODER_BLOCKS } from './plan.js';

/** diffusers' name for the network, `_class_name` in vae/config.json. */
export const AUTOENCODER_CLASS_NAME = 'AutoencoderKL';

/** Keys of every network with this encoder and decoder. */
export const coderKeys = {
  in_channels: positive.default(3),
  out_channels: positive.default(3),
  down_block_types: z.array(z.enum(ENCODER_BLOCKS)).min(1).default(['DownEncoderBlock2D']),
  up_block_types: z.array(z.enum(DECODER_BLOCKS)).min(1).default(['UpDecoderBlock2D']),
  block_out_channels: z.array(positive).min(1).default([64]),
  layers_per_block: positive.default(1),
  act_fn: activationSchema.default('silu'),
};

const schema = z.strictObject({
  ...coderKeys,
  latent_channels: positive.default(4),
  norm_num_groups: positive.default(32),
  sample_size: sizeSchema.default(32),
  /** Latents are multiplied by this for the diffusion model (one over their standard deviation). */
  scaling_factor: z.number().positive().default(0.18215),
  /** Taken off the latents before scaling; null: nothing. */
  shift_factor: z.number().nullable().default(null),
  /** Mean and standard deviation of each latent channel, in place of shift_factor. */
  latents_mean: z.array(z.number()).nullable().default(null),
  latents_std: z.array(z.number().positive()).nullable().default(null),
  /** Advice to half-precision users; without effect here. */
  force_upcast: z.boolean().default(true),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  mid_block_add_attention: z.boolean().default(true),
});

/** A whole AutoencoderKL config under diffusers' keys, defaults filled in. */
export type AutoencoderConfig = Readonly<z.output<typeof schema>>;

/** What may be left out is diffusers' default. */
export type AutoencoderInput = Readonly<z.input<typeof schema>>;

/**
 * Checks and completes an AutoencoderKL config.
 * @param value parsed vae/config.json, or an object with some of its keys
 * @param where the file or option it came from, for messages
 * @throws InputError naming the key that is unknown, unsupported or at odds with another
 */
export function parseAutoencoderConfig(value: unknown, where = 'vae/config.json'): AutoencoderConfig {
  const config = parseConfig(schema, value, AUTOENCODER_CLASS_NAME, where);
  checkBlocks(config, where);
  checkGroups('norm_num_groups', config.norm_num_groups, config.block_out_channels, where);
  if ((config.latents_mean === null) !== (config.latents_std === null)) {
    throw new InputError(`latents_mean and latents_std go together — ${where} — give both or neither`);
  }
  for (const key of ['latents_mean', 'latents_std'] as const) {
    const values = config[key];
    if (values !== null && values.length !== config.latent_channels) {
      throw new InputError(
        `${key} has ${values.length} entries — ${where} — give one for each of ${config.latent_channels} channels`,
      );
    }
  }
  return config;
}

/** How many pixels, along one side, one latent stands for. */
export function downscale(config: AutoencoderConfig): number {
  return 2 ** (config.block_out_channels.length - 1);
}
