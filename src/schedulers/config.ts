/**
 * Scheduler configs (scheduler_config.json) with diffusers' keys and defaults. Keys that a scheduler does not
 * know are kept and written back, because diffusers does so too: a config may be read by another scheduler.
 */
import { z } from 'zod';
import { BETA_SCHEDULES } from '../diffusion/betas.js';
import { PREDICTION_TYPES } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { TIMESTEP_SPACINGS } from './timesteps.js';

/** The version of diffusers whose behaviour the schedulers were checked against. */
export const DIFFUSERS_VERSION = '0.42.1';

const fraction = z.number().gt(0).lt(1);

const noiseSchedule = {
  num_train_timesteps: z.int().min(1).default(1000),
  beta_start: fraction.default(0.0001),
  beta_end: fraction.default(0.02),
  beta_schedule: z.enum(BETA_SCHEDULES).default('linear'),
  trained_betas: z.array(z.number().gt(0).max(1)).min(1).nullable().default(null),
  rescale_betas_zero_snr: z.boolean().default(false),
  prediction_type: z.enum(PREDICTION_TYPES).default('epsilon'),
  steps_offset: z.int().min(0).default(0),
};

const thresholding = {
  thresholding: z.boolean().default(false),
  dynamic_thresholding_ratio: z.number().gt(0).max(1).default(0.995),
  sample_max_value: z.number().min(1).default(1),
};

const clipping = {
  clip_sample: z.boolean().default(true),
  clip_sample_range: z.number().gt(0).default(1),
  ...thresholding,
};

const spacing = (standard: (typeof TIMESTEP_SPACINGS)[number]) => z.enum(TIMESTEP_SPACINGS).default(standard);

export const VARIANCE_TYPES = ['fixed_small', 'fixed_small_log', 'fixed_large', 'fixed_large_log'] as const;

export const ddpmConfig = z.looseObject({
  ...noiseSchedule,
  variance_type: z.enum(VARIANCE_TYPES).default('fixed_small'),
  ...clipping,
  timestep_spacing: spacing('leading'),
});

export const ddimConfig = z.looseObject({
  ...noiseSchedule,
  ...clipping,
  set_alpha_to_one: z.boolean().default(true),
  timestep_spacing: spacing('leading'),
});

/** Noise levels spaced by a rule of their own rather than by timesteps; at most one of them may be on. */
const sigmaSpacing = {
  use_karras_sigmas: z.boolean().default(false),
  use_exponential_sigmas: z.boolean().default(false),
  use_beta_sigmas: z.boolean().default(false),
};

const finalSigma = { final_sigmas_type: z.enum(['zero', 'sigma_min']).default('zero') };

export const eulerConfig = z.looseObject({
  ...noiseSchedule,
  ...sigmaSpacing,
  ...finalSigma,
  interpolation_type: z.literal('linear').default('linear'),
  sigma_min: z.number().gt(0).optional(),
  sigma_max: z.number().gt(0).optional(),
  timestep_spacing: spacing('linspace'),
  timestep_type: z.literal('discrete').default('discrete'),
});

export const eulerAncestralConfig = z.looseObject({
  ...noiseSchedule,
  timestep_spacing: spacing('linspace'),
});

/** The betas of Stable Diffusion, which some schedulers have as their default. */
const latentBetas = {
  beta_start: fraction.default(0.00085),
  beta_end: fraction.default(0.012),
};

export const heunConfig = z.looseObject({
  ...noiseSchedule,
  ...latentBetas,
  ...sigmaSpacing,
  clip_sample: z.boolean().default(false),
  clip_sample_range: z.number().gt(0).default(1),
  timestep_spacing: spacing('linspace'),
});

export const kdpm2Config = z.looseObject({
  ...noiseSchedule,
  ...latentBetas,
  ...sigmaSpacing,
  timestep_spacing: spacing('linspace'),
});

export const lmsConfig = z.looseObject({
  ...noiseSchedule,
  ...sigmaSpacing,
  timestep_spacing: spacing('linspace'),
});

export const dpmSolverConfig = z.looseObject({
  ...noiseSchedule,
  ...thresholding,
  use_karras_sigmas: z.boolean().default(false),
  use_exponential_sigmas: z.literal(false).default(false),
  use_beta_sigmas: z.literal(false).default(false),
  ...finalSigma,
  solver_order: z.int().min(1).max(2).default(2),
  algorithm_type: z.literal('dpmsolver++').default('dpmsolver++'),
  solver_type: z.enum(['midpoint', 'heun']).default('midpoint'),
  lower_order_final: z.boolean().default(true),
  euler_at_final: z.boolean().default(false),
  use_lu_lambdas: z.literal(false).default(false),
  use_flow_sigmas: z.literal(false).default(false),
  lambda_min_clipped: z.number().optional(),
  timestep_spacing: spacing('linspace'),
});

export type DDPMConfig = z.infer<typeof ddpmConfig>;
export type DDIMConfig = z.infer<typeof ddimConfig>;
export type EulerConfig = z.infer<typeof eulerConfig>;
export type EulerAncestralConfig = z.infer<typeof eulerAncestralConfig>;
export type HeunConfig = z.infer<typeof heunConfig>;
export type KDPM2Config = z.infer<typeof kdpm2Config>;
export type LMSConfig = z.infer<typeof lmsConfig>;
export type DPMSolverConfig = z.infer<typeof dpmSolverConfig>;

/** What diffusers writes for an option that is off: null, or -Infinity, which is not JSON and so is never kept. */
const isOff = (value: unknown) => value === null || value === -Infinity;

/**
 * Fills in defaults and checks every value. A key that is null (or -Infinity) counts as absent.
 * @throws InputError naming the scheduler, the key and what is wrong with it
 */
export function parseConfig<S extends z.ZodType>(schema: S, config: unknown, className: string): z.output<S> {
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new InputError(
      `config is not an object — ${className} — give the content of scheduler_config.json`,
    );
  const given = Object.fromEntries(Object.entries(config).filter(([, value]) => !isOff(value)));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  const key = path.join('.');
  const value = JSON.stringify(
    path.reduce((v: unknown, k) => (v as Record<PropertyKey, unknown>)?.[k], given),
  );
  throw new InputError(`${key} is ${value} — ${className} config — ${message}`);
}

/** What goes into scheduler_config.json: the class's name first, as diffusers writes it, then every key. */
export function writeConfig(className: string, config: Record<string, unknown>): Record<string, unknown> {
  const head = { _class_name: className, _diffusers_version: DIFFUSERS_VERSION };
  return { ...head, ...config, ...{ _class_name: className } };
}
