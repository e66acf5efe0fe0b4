/** What a training run is made of: presets, a JSON file's keys, and the options of the command line. */
import { z } from 'zod';
import { type AutoencoderInput, klNetwork, parseAutoencoderConfig } from '../autoencoder/index.js';
import { BETA_SCHEDULES, EDM_PREDICTION, FLOW_PREDICTION, PREDICTION_TYPES } from '../diffusion/index.js';
import { InputError } from '../errors.js';
import { SCHEDULER_NAMES } from '../schedulers/index.js';
import type { UNet2DConfigInput, UNetNetwork } from '../unet/index.js';
import { denoiserFor } from './denoiser.js';
import { parseSettings } from './settings.js';

const count = z.number().int().positive();
const rate = z.number().positive();

/** What the stages of training have in common. */
export const optimizer = {
  /** Pictures a step. */
  batch_size: count.default(16),
  /** Batches whose gradients are added up to a step, for steps of more pictures than memory has room for. */
  gradient_accumulation_steps: count.default(1),
  learning_rate: rate.default(2e-4),
  /** Steps over which the learning rate rises from 0 (a tenth of the run at most). */
  lr_warmup_steps: z.number().int().nonnegative().default(200),
  /** What the learning rate does after the warm-up. */
  lr_scheduler: z.enum(['cosine', 'constant']).default('cosine'),
  adam_beta1: z.number().min(0).lt(1).default(0.9),
  adam_beta2: z.number().min(0).lt(1).default(0.99),
  adam_epsilon: rate.default(1e-8),
  adam_weight_decay: z.number().nonnegative().default(1e-6),
  /** Largest norm of the gradient; 0: no clipping. */
  max_grad_norm: z.number().nonnegative().default(1),
  /** Decay of the averaged weights, warmed up as (1 + step) / (10 + step). */
  ema_decay: z.number().min(0).lt(1).default(0.999),
  steps: count.default(1000),
  /** Steps between training states, sample sheets and the model's renewal. */
  checkpoint_every: count.default(500),
};

const autoencoderStage = z.strictObject({
  ...optimizer,
  /** Keys of diffusers' AutoencoderKL. */
  model: z.record(z.string(), z.unknown()),
  /** Weight of the latents' divergence from the normal distribution, per latent number. */
  kl_weight: z.number().nonnegative().default(1e-4),
  /** Weight of the squared error beside the absolute one: keeps colours true, whose errors are large but plain. */
  mse_weight: z.number().nonnegative().default(1),
  /** Weight of the differences of neighbouring pixels beside those of pixels: keeps lines sharp. */
  edge_weight: z.number().nonnegative().default(1),
  /**
   * Largest deviation of noise that the latents have when they are decoded, in their own. A UNet's latents are never those of a
   * picture to the last bit, and a decoder that knows no others makes clouds of what is wrong with them.
   */
  latent_noise: z.number().nonnegative().default(0),
});

const diffusionStage = z.strictObject({
  ...optimizer,
  /** Relative widths of averages that are kept beside, for `sumi average` to make others of (see power-ema.ts). */
  ema_widths: z.array(z.number().positive().max(0.28)).max(4).default([]),
  /**
   * Keys of diffusers' UNet2DModel, or, with that `_class_name`, of UNet2DConditionModel; channels, size and classes are
   * filled in from the data.
   */
  model: z.record(z.string(), z.unknown()),
  num_train_timesteps: count.default(1000),
  beta_start: rate.default(1e-4),
  beta_end: rate.default(0.02),
  beta_schedule: z.enum(BETA_SCHEDULES).default('linear'),
  /** Betas to use as they are, one per timestep; they take precedence over the schedule. */
  trained_betas: z.array(z.number().gt(0).max(1)).min(1).nullable().default(null),
  /** Scaled so that the last timestep is pure noise (Lin et al. 2023). */
  rescale_betas_zero_snr: z.boolean().default(false),
  /** `flow_prediction`: a model of a flow; `edm_prediction`: one preconditioned as EDM's. Betas and `snr_gamma` say nothing there. */
  prediction_type: z.enum([...PREDICTION_TYPES, FLOW_PREDICTION, EDM_PREDICTION]).default('v_prediction'),
  /**
   * How timesteps are drawn: all alike, or by a normal distribution's logistic function, the middle more often than the ends
   * (Esser et al. 2024, section 3.1).
   */
  timestep_distribution: z.enum(['uniform', 'logit_normal']).default('uniform'),
  /** Of EDM's noise levels, for data of deviation 0.5: ln σ is normal, of this mean and deviation. */
  p_mean: z.number().default(-1.2),
  p_std: rate.default(1.2),
  /** Deviation of the data in EDM's preconditioning; null: 0.5 of pixels, 1 of latents, which are scaled to that. */
  sigma_data: rate.nullable().default(null),
  /** `learned`: a weight by noise level is trained beside the network (see level-weights.ts), and `snr_gamma` says nothing. */
  loss_weighting: z.enum(['min_snr', 'learned']).default('min_snr'),
  /** Min-SNR weights of the loss (Hang et al. 2023); null: every timestep counts the same. */
  snr_gamma: z.number().positive().nullable().default(5),
  /** Share of the pictures whose label or text is hidden, so that the model also learns to do without (for guidance). */
  label_dropout: z.number().min(0).max(1).default(0.1),
  /** Whether it learns to fill in: it sees a random hole, and what is around it, beside the sample. */
  inpaint: z.boolean().default(false),
  /** Share of the pictures that are not trained on, 256 at most: their loss at each checkpoint tells of overfitting. */
  held_back: z.number().min(0).max(0.5).default(0),
});

const schema = z.strictObject({
  preset: z.string().optional(),
  /** Side of the pictures in pixels. */
  size: count.default(64),
  seed: z.number().int().nonnegative().default(0),
  background: z.string().default('#ffffff'),
  fit: z.enum(['crop', 'pad', 'stretch']).default('crop'),
  /** Whether pictures keep about their shape: each comes to the nearest of several of `size`² pixels or somewhat less. */
  aspect_ratio_buckets: z.boolean().default(false),
  strict: z.boolean().default(false),
  augment: z
    .strictObject({
      flip: z.boolean().default(false),
      shift: z.number().int().nonnegative().default(0),
      crop: z.number().int().nonnegative().default(0),
      colour: z.number().min(0).max(1).default(0),
    })
    .default({ flip: false, shift: 0, crop: 0, colour: 0 }),
  /** null: the diffusion model works on pixels. */
  autoencoder: autoencoderStage.nullable().default(null),
  diffusion: diffusionStage,
  /** How generate draws unless told otherwise. */
  sampling: z
    .strictObject({
      steps: count.default(50),
      scheduler: z.enum(SCHEDULER_NAMES).default('ddim'),
      guidance_scale: z.number().nonnegative().default(1),
    })
    .default({ steps: 50, scheduler: 'ddim', guidance_scale: 1 }),
});

/** A whole training configuration: what a run's config.json holds. */
export type TrainConfig = Readonly<z.output<typeof schema>>;
export type TrainConfigInput = z.input<typeof schema>;
export type AutoencoderStage = z.output<typeof autoencoderStage>;
export type DiffusionStage = z.output<typeof diffusionStage>;

function autoencoderModel(channels: number[], latents: number): AutoencoderInput {
  return {
    block_out_channels: channels,
    down_block_types: channels.map(() => 'DownEncoderBlock2D' as const),
    up_block_types: channels.map(() => 'UpDecoderBlock2D' as const),
    layers_per_block: 1,
    latent_channels: latents,
    norm_num_groups: 16,
    mid_block_add_attention: false,
  };
}

function unetModel(
  channels: number[],
  attention: boolean[],
  layers: number,
  groups: number,
): UNet2DConfigInput {
  return {
    block_out_channels: channels,
    down_block_types: attention.map((a) => (a ? 'AttnDownBlock2D' : 'DownBlock2D')),
    up_block_types: [...attention].reverse().map((a) => (a ? 'AttnUpBlock2D' : 'UpBlock2D')),
    layers_per_block: layers,
    norm_num_groups: groups,
    attention_head_dim: 32,
    downsample_padding: 0,
    flip_sin_to_cos: true,
    add_attention: attention.some(Boolean),
  };
}

/** Share of a run's minutes that the autoencoder gets. */
export const AUTOENCODER_SHARE = 0.3;

/** The recipes that have a name. */
export const presets: Readonly<Record<string, TrainConfigInput>> = {
  /** Pixels, for tests and first tries: seconds. */
  tiny: {
    size: 16,
    diffusion: {
      model: unetModel([32, 64], [false, false], 1, 8),
      steps: 60,
      lr_warmup_steps: 10,
      learning_rate: 1e-3,
      ema_decay: 0.95,
      checkpoint_every: 30,
    },
    sampling: { steps: 20 },
  },
  /** Latents of 64×64 pictures, the networks that the shipped model began as: an hour on two cores. */
  light: {
    size: 64,
    autoencoder: {
      model: { ...autoencoderModel([24, 48, 64], 8), norm_num_groups: 4 },
      batch_size: 8,
      learning_rate: 1e-3,
      steps: 5000,
      lr_warmup_steps: 60,
      ema_decay: 0.998,
      mse_weight: 2,
      edge_weight: 0.3,
    },
    diffusion: {
      model: unetModel([64, 128, 128], [false, true, true], 1, 16),
      batch_size: 32,
      // docs/training.md, "What was tried".
      learning_rate: 1e-3,
      lr_warmup_steps: 100,
      steps: 10000,
      held_back: 0.05,
    },
    sampling: { steps: 30, guidance_scale: 2 },
  },
  /** Latents of 64×64 pictures: an evening on two cores. */
  small: {
    size: 64,
    autoencoder: {
      model: autoencoderModel([32, 64, 96], 4),
      batch_size: 16,
      learning_rate: 5e-4,
      steps: 3000,
      lr_warmup_steps: 100,
      ema_decay: 0.995,
    },
    diffusion: {
      model: unetModel([96, 160, 192], [false, true, true], 2, 16),
      batch_size: 64,
      learning_rate: 4e-4,
      steps: 20000,
      held_back: 0.05,
    },
    sampling: { steps: 30, guidance_scale: 2 },
  },
  /** Latents of 128×128 pictures: days on two cores. */
  base: {
    size: 128,
    autoencoder: {
      model: autoencoderModel([32, 64, 96, 128], 8),
      batch_size: 8,
      learning_rate: 5e-4,
      steps: 10000,
      ema_decay: 0.995,
    },
    diffusion: {
      model: unetModel([128, 256, 256], [false, true, true], 2, 32),
      batch_size: 64,
      steps: 100000,
      checkpoint_every: 1000,
      ema_decay: 0.9995,
      held_back: 0.05,
    },
    sampling: { steps: 30, guidance_scale: 2 },
  },
};

/**
 * Checks and completes a training configuration.
 * @param where file or option it came from, for messages
 * @throws InputError naming the key that is unknown or out of range
 */
export function parseTrainConfig(value: unknown, where: string): TrainConfig {
  const config = parseSettings(schema, value, where);
  const { autoencoder, size } = config;
  // The models' own keys, before any work is done on the data.
  const vae = autoencoder
    ? parseAutoencoderConfig({ ...autoencoder.model, sample_size: size }, `${where}: autoencoder.model`)
    : null;
  if (config.aspect_ratio_buckets && config.diffusion.inpaint)
    throw new InputError(
      `holes are made in square pictures alone — ${where}: aspect_ratio_buckets — leave it out with --inpaint`,
    );
  requireTrainable(denoiserFor(config, vae && klNetwork(vae), 0, where).config, config.diffusion, where);
  return config;
}

/** @throws InputError for a network that draws but cannot be trained here */
function requireTrainable(model: UNetNetwork['config'], stage: DiffusionStage, where: string): void {
  const { dropout, class_embed_type: embedded } = model;
  const refuse = (what: string, todo: string): never => {
    throw new InputError(`${what} — ${where}: diffusion.model — ${todo}`);
  };
  if (dropout > 0) refuse(`dropout ${dropout} is not supported in training`, 'set it to 0');
  if (embedded !== null)
    refuse(`class_embed_type "${embedded}" has no labels to learn from`, 'set it to null');
  if (model.time_embedding_type === 'fourier')
    refuse('time_embedding_type "fourier" has no embedding of timestep 0', 'use "positional"');
  if (model.time_embedding_type === 'learned' && (model.num_train_timesteps ?? 0) < stage.num_train_timesteps)
    refuse(
      `num_train_timesteps ${model.num_train_timesteps} is smaller than the ${stage.num_train_timesteps} that are trained`,
      'make them equal',
    );
  if (
    model.time_embedding_type === 'learned' &&
    (stage.prediction_type === FLOW_PREDICTION || stage.prediction_type === EDM_PREDICTION)
  )
    refuse(
      `time_embedding_type "learned" knows whole timesteps alone, ${stage.prediction_type} has any`,
      'use "positional"',
    );
  if (stage.rescale_betas_zero_snr && stage.prediction_type === 'epsilon')
    throw new InputError(
      `prediction_type "epsilon" says nothing of pure noise, where rescale_betas_zero_snr begins — ${where}: diffusion — use "v_prediction"`,
    );
}

/** @throws InputError for a name that is no preset */
export function presetConfig(name: string): TrainConfigInput {
  const found = Object.hasOwn(presets, name) ? presets[name] : undefined;
  if (!found)
    throw new InputError(`preset ${name} is unknown — --preset — use ${Object.keys(presets).join(', ')}`);
  return { preset: name, ...structuredClone(found) };
}
