/**
 * Scheduler configs (scheduler_config.json) with diffusers' keys and defaults. Keys that a scheduler does not
 * know are kept and written back, because diffusers does so too: a config may be read by another scheduler.
 */
import { z } from 'zod';
import { BETA_SCHEDULES } from '../diffusion/betas.js';
import { FLOW_PREDICTION, PREDICTION_TYPES } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { ALGORITHM_TYPES } from './exponential.js';
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
  interpolation_type: z.enum(['linear', 'log_linear']).default('linear'),
  sigma_min: z.number().gt(0).optional(),
  sigma_max: z.number().gt(0).optional(),
  timestep_spacing: spacing('linspace'),
  timestep_type: z.enum(['discrete', 'continuous']).default('discrete'),
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

/** What the solvers in λ have in common. */
const solver = {
  ...noiseSchedule,
  ...thresholding,
  ...sigmaSpacing,
  prediction_type: z.enum([...PREDICTION_TYPES, FLOW_PREDICTION]).default('epsilon'),
  solver_order: z.int().min(1).max(3).default(2),
  use_flow_sigmas: z.boolean().default(false),
  flow_shift: z.number().gt(0).default(1),
  use_dynamic_shifting: z.literal(false).default(false),
  timestep_spacing: spacing('linspace'),
};

/** Solver types of other solvers stand for a solver's own default, so that a config can be passed on. */
const solverType = <const Own extends readonly string[]>(own: Own, ...others: string[]) =>
  z.preprocess(
    (type) => (others.includes(type as string) ? own[0] : type),
    z.enum(own).default(own[0] as never),
  );
const dpmSolverType = solverType(['midpoint', 'heun'], 'logrho', 'bh1', 'bh2');

/** DEIS's, which a config may have from that scheduler. */
const passedOn = (type: unknown) => (type === 'deis' ? 'dpmsolver++' : type);

const dpmSolver = {
  ...solver,
  ...finalSigma,
  solver_type: dpmSolverType,
  lambda_min_clipped: z.number().optional(),
};

export const dpmSolverConfig = z.looseObject({
  ...dpmSolver,
  algorithm_type: z.preprocess(passedOn, z.enum(ALGORITHM_TYPES).default('dpmsolver++')),
  lower_order_final: z.boolean().default(true),
  euler_at_final: z.boolean().default(false),
  use_lu_lambdas: z.boolean().default(false),
});

export const dpmSolverSinglestepConfig = z.looseObject({
  ...dpmSolver,
  algorithm_type: z.preprocess(
    passedOn,
    z.enum(['dpmsolver', 'dpmsolver++', 'sde-dpmsolver++']).default('dpmsolver++'),
  ),
  lower_order_final: z.boolean().default(false),
});

export const deisConfig = z.looseObject({
  ...solver,
  algorithm_type: z.preprocess(
    (type) => (type === 'dpmsolver' || type === 'dpmsolver++' ? 'deis' : type),
    z.literal('deis').default('deis'),
  ),
  solver_type: solverType(['logrho'], 'midpoint', 'heun', 'bh1', 'bh2'),
  lower_order_final: z.boolean().default(true),
});

export const uniPCConfig = z.looseObject({
  ...solver,
  ...finalSigma,
  predict_x0: z.boolean().default(true),
  solver_type: solverType(['bh2', 'bh1'], 'midpoint', 'heun', 'logrho'),
  lower_order_final: z.boolean().default(true),
  disable_corrector: z.array(z.int()).default([]),
  sigma_min: z.number().gt(0).optional(),
  sigma_max: z.number().gt(0).optional(),
});

export const pndmConfig = z.looseObject({
  ...noiseSchedule,
  skip_prk_steps: z.boolean().default(false),
  set_alpha_to_one: z.boolean().default(false),
  timestep_spacing: spacing('leading'),
});

export const ipndmConfig = z.looseObject({
  num_train_timesteps: z.int().min(1).default(1000),
});

export const distilledConfig = z.looseObject({
  ...noiseSchedule,
  ...latentBetas,
  beta_schedule: z.enum(BETA_SCHEDULES).default('scaled_linear'),
  ...clipping,
  clip_sample: z.boolean().default(false),
  original_inference_steps: z.int().min(1).default(50),
  timestep_spacing: spacing('leading'),
  timestep_scaling: z.number().gt(0).default(10),
});

export const ddimInverseConfig = z.looseObject({
  ...noiseSchedule,
  clip_sample: z.boolean().default(true),
  clip_sample_range: z.number().gt(0).default(1),
  set_alpha_to_one: z.boolean().default(true),
  timestep_spacing: z.enum(['leading', 'trailing']).default('leading'),
});

/** Noise levels from `sigma_min` to `sigma_max`, of models that see σ rather than a timestep of DDPM's. */
const sigmaRange = {
  sigma_min: z.number().gt(0).default(0.002),
  sigma_max: z.number().gt(0).default(80),
  sigma_data: z.number().gt(0).default(0.5),
  rho: z.number().gt(0).default(7),
};

const edm = {
  ...sigmaRange,
  ...finalSigma,
  num_train_timesteps: z.int().min(1).default(1000),
  sigma_schedule: z.enum(['karras', 'exponential']).default('karras'),
  prediction_type: z.enum(['epsilon', 'v_prediction']).default('epsilon'),
};

export const edmConfig = z.looseObject(edm);

export const edmDpmSolverConfig = z.looseObject({
  ...edm,
  ...thresholding,
  solver_order: z.int().min(1).max(3).default(2),
  algorithm_type: z.preprocess(passedOn, z.enum(['dpmsolver++', 'sde-dpmsolver++']).default('dpmsolver++')),
  solver_type: dpmSolverType,
  lower_order_final: z.boolean().default(true),
  euler_at_final: z.boolean().default(false),
});

export const consistencyConfig = z.looseObject({
  ...sigmaRange,
  num_train_timesteps: z.int().min(2).default(40),
  s_noise: z.number().min(0).default(1),
  clip_denoised: z.boolean().default(true),
});

const flow = {
  num_train_timesteps: z.int().min(1).default(1000),
  shift: z.number().gt(0).default(1),
};

export const flowMatchHeunConfig = z.looseObject(flow);

export const flowMatchConfig = z.looseObject({
  ...flow,
  ...sigmaSpacing,
  use_dynamic_shifting: z.boolean().default(false),
  time_shift_type: z.enum(['exponential', 'linear']).default('exponential'),
  shift_terminal: z.number().min(0).lt(1).optional(),
  invert_sigmas: z.boolean().default(false),
  stochastic_sampling: z.boolean().default(false),
});

export type DDPMConfig = z.infer<typeof ddpmConfig>;
export type DDIMConfig = z.infer<typeof ddimConfig>;
export type EulerConfig = z.infer<typeof eulerConfig>;
export type EulerAncestralConfig = z.infer<typeof eulerAncestralConfig>;
export type HeunConfig = z.infer<typeof heunConfig>;
export type KDPM2Config = z.infer<typeof kdpm2Config>;
export type LMSConfig = z.infer<typeof lmsConfig>;
export type DPMSolverConfig = z.infer<typeof dpmSolverConfig>;
export type DPMSolverSinglestepConfig = z.infer<typeof dpmSolverSinglestepConfig>;
export type DEISConfig = z.infer<typeof deisConfig>;
export type UniPCConfig = z.infer<typeof uniPCConfig>;
export type PNDMConfig = z.infer<typeof pndmConfig>;
export type IPNDMConfig = z.infer<typeof ipndmConfig>;
export type DistilledConfig = z.infer<typeof distilledConfig>;
export type DDIMInverseConfig = z.infer<typeof ddimInverseConfig>;
export type EDMConfig = z.infer<typeof edmConfig>;
export type EDMDPMSolverConfig = z.infer<typeof edmDpmSolverConfig>;
export type ConsistencyConfig = z.infer<typeof consistencyConfig>;
export type FlowMatchConfig = z.infer<typeof flowMatchConfig>;
export type FlowMatchHeunConfig = z.infer<typeof flowMatchHeunConfig>;

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
