import { z } from 'zod';
import { InputError } from '../errors.js';
import { SPATIAL_NORM_GROUPS } from '../unet/spatial-norm.js';
import { checkBlocks, checkGroups, parseConfig, positive, sizeSchema } from '../unet/validate.js';
import { coderKeys } from './config.js';

/** diffusers' name for the network, `_class_name` in vqvae/config.json. */
export const VQ_CLASS_NAME = 'VQModel';

const schema = z.strictObject({
  ...coderKeys,
  /** Channels between the encoder and quant_conv, and between post_quant_conv and the decoder. */
  latent_channels: positive.default(3),
  sample_size: sizeSchema.default(32),
  /** Entries of the codebook. */
  num_vq_embeddings: positive.default(256),
  norm_num_groups: positive.default(32),
  /** Channels of the latents and of the codebook's entries; null: latent_channels. */
  vq_embed_dim: positive.nullable().default(null),
  /** Latents are multiplied by this for the diffusion model. */
  scaling_factor: z.number().positive().default(0.18215),
  /** 'spatial': the decoder's norms are scaled and shifted by the quantized latents (MoVQ), in 32 groups. */
  norm_type: z.enum(['group', 'spatial']).default('group'),
  mid_block_add_attention: z.boolean().default(true),
  /** Without quantization `decodeVQ` takes indices into the codebook instead of latents. */
  lookup_from_codebook: z.boolean().default(false),
  /** Advice to half-precision users; without effect here. */
  force_upcast: z.boolean().default(false),
});

/** A whole VQModel config under diffusers' keys, defaults filled in. */
export type VQConfig = Readonly<z.output<typeof schema>>;

/** What may be left out is diffusers' default. */
export type VQInput = Readonly<z.input<typeof schema>>;

/**
 * Checks and completes a VQModel config.
 * @param value parsed vqvae/config.json, or an object with some of its keys
 * @param where the file or option it came from, for messages
 * @throws InputError naming the key that is unknown, unsupported or at odds with another
 */
export function parseVQConfig(value: unknown, where = 'vqvae/config.json'): VQConfig {
  const config = parseConfig(schema, value, VQ_CLASS_NAME, where);
  checkBlocks(config, where);
  checkGroups('norm_num_groups', config.norm_num_groups, config.block_out_channels, where);
  if (config.norm_type !== 'spatial') return config;
  const odd = config.block_out_channels.find((c) => c % SPATIAL_NORM_GROUPS !== 0);
  if (odd !== undefined) {
    throw new InputError(
      `norm_type "spatial" with ${odd} channels — ${where} — its groups are ${SPATIAL_NORM_GROUPS}: use multiples of that in block_out_channels`,
    );
  }
  if (vqChannels(config) !== config.latent_channels) {
    throw new InputError(
      `norm_type "spatial" with vq_embed_dim ${config.vq_embed_dim} and latent_channels ${config.latent_channels} — ${where} — make them equal`,
    );
  }
  return config;
}

/** Channels of the latents: what the diffusion model works on. */
export function vqChannels(config: VQConfig): number {
  return config.vq_embed_dim ?? config.latent_channels;
}
