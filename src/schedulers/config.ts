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
export const DIFFUSERS_VERSION = '0.42.0';

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

export type DDPMConfig = z.infer<typeof ddpmConfig>;
export type DDIMConfig = z.infer<typeof ddimConfig>;

/**
 * Fills in defaults and checks every value. A key that is null counts as absent, as older configs write it.
 * @throws InputError naming the scheduler, the key and what is wrong with it
 */
export function parseConfig<S extends z.ZodType>(schema: S, config: unknown, className: string): z.output<S> {
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new InputError(
      `config is not an object — ${className} — give the content of scheduler_config.json`,
    );
  const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null));
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
