/**
 * Variance schedules β_1 … β_T of the forward process, in float64. Names and defaults are diffusers'
 * (`beta_schedule`, `beta_start`, `beta_end`, `trained_betas`, `num_train_timesteps`).
 */
import { InputError } from '../errors.js';

export const BETA_SCHEDULES = [
  'linear',
  'scaled_linear',
  'squaredcos_cap_v2',
  'exp',
  'sigmoid',
  'laplace',
] as const;
export type BetaSchedule = (typeof BETA_SCHEDULES)[number];

/** The part of a scheduler's config that fixes its betas. */
export interface BetaConfig {
  /** T, at least 1. */
  num_train_timesteps: number;
  /** β of the first timestep, in (0, 1). */
  beta_start: number;
  /** β of the last timestep, in (0, 1). */
  beta_end: number;
  beta_schedule: BetaSchedule;
  /** Betas to use as they are, one per timestep; they take precedence over the schedule. */
  trained_betas?: readonly number[] | null;
  /** Shift and scale so that the last timestep is pure noise (`rescaleZeroTerminalSnr`). */
  rescale_betas_zero_snr?: boolean;
}

/** What a scheduler's config says of the forward process and of what is predicted, whatever draws with it. */
export const FORWARD_PROCESS = [
  'num_train_timesteps',
  'beta_start',
  'beta_end',
  'beta_schedule',
  'trained_betas',
  'rescale_betas_zero_snr',
  'prediction_type',
] as const;

/** The cosine schedule's cap, which keeps its last steps from a singularity (Nichol & Dhariwal 2021, sec. 3.2). */
const MAX_BETA = 0.999;

/**
 * The betas a config describes.
 * - `linear`: equal steps from beta_start to beta_end (Ho et al. 2020, sec. 4).
 * - `scaled_linear`: equal steps of sqrt(β) (latent diffusion, Rombach et al. 2022).
 * - `squaredcos_cap_v2`: ᾱ(t) = cos²((t + 0.008)/1.008 · π/2) (Nichol & Dhariwal 2021, eq. 17).
 * - `exp`: ᾱ(t) = e^(-12t), as diffusers' HeunDiscreteScheduler has it.
 * - `sigmoid`: from beta_start to beta_end along the logistic function from -6 to 6 (GeoDiff, Xu et al. 2022).
 * - `laplace`: log SNR in Laplace's distribution, most steps about 0 (Hang et al. 2024, "Improved noise schedule for
 *   diffusion training"); with diffusers' ᾱ(t) = sqrt(SNR/(1 + SNR)).
 * @returns [T], each in (0, 1]
 * @throws InputError for an unknown schedule or values out of range
 */
export function makeBetas(config: BetaConfig): Float64Array {
  const betas = config.trained_betas ? trainedBetas(config, config.trained_betas) : scheduledBetas(config);
  return config.rescale_betas_zero_snr ? rescaleZeroTerminalSnr(betas) : betas;
}

function trainedBetas(config: BetaConfig, trained: readonly number[]): Float64Array {
  if (trained.length !== config.num_train_timesteps)
    throw new InputError(
      `trained_betas has ${trained.length} values for ${config.num_train_timesteps} timesteps — scheduler config — make num_train_timesteps match`,
    );
  const bad = trained.findIndex((b) => !(b > 0 && b <= 1));
  if (bad >= 0)
    throw new InputError(
      `trained_betas[${bad}] is ${trained[bad]} — scheduler config — every beta must be above 0 and at most 1`,
    );
  return Float64Array.from(trained);
}

function scheduledBetas(config: BetaConfig): Float64Array {
  const { num_train_timesteps: T, beta_start, beta_end, beta_schedule } = config;
  if (!Number.isSafeInteger(T) || T < 1)
    throw new InputError(`num_train_timesteps is ${T} — scheduler config — give an integer of 1 or more`);
  for (const [name, beta] of Object.entries({ beta_start, beta_end }))
    if (!(beta > 0 && beta < 1))
      throw new InputError(`${name} is ${beta} — scheduler config — give a number between 0 and 1`);
  switch (beta_schedule) {
    case 'linear':
      return linspace(beta_start, beta_end, T);
    case 'scaled_linear':
      return linspace(Math.sqrt(beta_start), Math.sqrt(beta_end), T).map((root) => root ** 2);
    case 'squaredcos_cap_v2':
      return betasOf((t) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2, T);
    case 'exp':
      return betasOf((t) => Math.exp(-12 * t), T);
    case 'sigmoid':
      return linspace(-6, 6, T).map((x) => beta_start + (beta_end - beta_start) / (1 + Math.exp(-x)));
    case 'laplace':
      return betasOf(laplaceAlphaBar, T);
    default:
      throw new InputError(
        `beta_schedule '${beta_schedule}' is unknown — scheduler config — use one of ${BETA_SCHEDULES.join(', ')}`,
      );
  }
}

/** The betas that make ᾱ(t), t from 0 to 1, none above the cap. */
function betasOf(alphaBar: (t: number) => number, n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) =>
    Math.min(1 - alphaBar((i + 1) / n) / alphaBar(i / n), MAX_BETA),
  );
}

function laplaceAlphaBar(t: number): number {
  const logSnr = -0.5 * (t > 0.5 ? -1 : 1) * Math.log(1 - 2 * Math.abs(0.5 - t) + 1e-6);
  return Math.sqrt(1 / (1 + Math.exp(-logSnr)));
}

/** `n` equally spaced numbers from `start` to `end`, both included. */
function linspace(start: number, end: number, n: number): Float64Array {
  const step = n > 1 ? (end - start) / (n - 1) : 0;
  return Float64Array.from({ length: n }, (_, i) => (i > 0 && i === n - 1 ? end : start + i * step));
}

/**
 * Betas whose last timestep has no signal left (ᾱ_T = 0) and whose first keeps its noise level: sqrt(ᾱ) is
 * shifted by its last value and scaled back (Lin et al. 2024, "Common diffusion noise schedules and sample steps
 * are flawed", Algorithm 1).
 * @param betas [T]
 * @returns [T]; the last is 1
 * @throws InputError when there are fewer than two betas
 */
export function rescaleZeroTerminalSnr(betas: Float64Array): Float64Array {
  if (betas.length < 2)
    throw new InputError(
      'rescale_betas_zero_snr needs two timesteps or more — scheduler config — turn it off',
    );
  let product = 1;
  const roots = betas.map((beta) => {
    product *= 1 - beta;
    return Math.sqrt(product);
  });
  const first = roots[0];
  const last = roots[roots.length - 1];
  const alphaBars = roots.map((root) => (((root - last) * first) / (first - last)) ** 2);
  return alphaBars.map((alphaBar, i) => 1 - (i === 0 ? alphaBar : alphaBar / alphaBars[i - 1]));
}
