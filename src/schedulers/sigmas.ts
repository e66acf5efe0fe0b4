/**
 * Noise levels in the variance-exploding form x = x_0 + σ·ε, with σ = sqrt((1-ᾱ)/ᾱ); x·sqrt(ᾱ) is the x_t of
 * DDPM (Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", table 1).
 */
import { type BetaConfig, makeBetas } from '../diffusion/betas.js';
import { cumulativeAlphas } from '../diffusion/noising.js';
import { InputError } from '../errors.js';
import { betaQuantile } from './beta-distribution.js';
import { linspaceAt } from './timesteps.js';

/** ᾱ of the last timestep under zero terminal SNR, so that its σ is finite (diffusers' choice). */
const SMALLEST_ALPHA_PROD = 2 ** -24;

/** ᾱ_t for solvers that work with σ: never 0. [num_train_timesteps] */
export function alphasCumprodAboveZero(config: BetaConfig): Float64Array {
  const alphasCumprod = cumulativeAlphas(makeBetas(config));
  if (config.rescale_betas_zero_snr) alphasCumprod[alphasCumprod.length - 1] = SMALLEST_ALPHA_PROD;
  return alphasCumprod;
}

/** σ of each training timestep, rising. */
export function sigmasOf(alphasCumprod: Float64Array): Float64Array {
  return alphasCumprod.map((alphaProd) => Math.sqrt((1 - alphaProd) / alphaProd));
}

/** ᾱ = 1 / (σ² + 1). */
export function alphaProdOf(sigma: number): number {
  return 1 / (sigma ** 2 + 1);
}

/** σ at a timestep that may lie between two, linear between them and constant outside. */
export function interpolateSigma(trainSigmas: Float64Array, timestep: number): number {
  const t = Math.min(Math.max(timestep, 0), trainSigmas.length - 1);
  const low = Math.floor(t);
  const high = Math.ceil(t);
  return trainSigmas[low] + (t - low) * (trainSigmas[high] - trainSigmas[low]);
}

/** Where the i-th of `n` levels lies between the noisiest (0) and the cleanest (1). */
const even = (n: number, i: number): number => linspaceAt(1, n, i);

/** The exponent of the noise schedule that Karras et al. found best. */
const RHO = 7;

/** `n` noise levels from `max` down to `min`, equally spaced in σ^(1/ρ) (Karras et al. 2022, eq. 5). */
export function karrasSigmas(min: number, max: number, n: number, rho = RHO): number[] {
  const [low, high] = [min ** (1 / rho), max ** (1 / rho)];
  return Array.from({ length: n }, (_, i) => (high + even(n, i) * (low - high)) ** rho);
}

/** `n` noise levels from `max` down to `min`, equally spaced in log σ. */
export function exponentialSigmas(min: number, max: number, n: number): number[] {
  const [low, high] = [Math.log(min), Math.log(max)];
  return Array.from({ length: n }, (_, i) => Math.exp(high + even(n, i) * (low - high)));
}

/** Both parameters of the beta distribution that spaces the levels. */
const BETA_SHAPE = 0.6;

/**
 * `n` noise levels from `max` down to `min` at quantiles of a beta distribution, dense at both ends (Lee et al.
 * 2024, "Beta sampling is all you need").
 */
export function betaSigmas(min: number, max: number, n: number): number[] {
  return Array.from(
    { length: n },
    (_, i) => min + betaQuantile(1 - even(n, i), BETA_SHAPE, BETA_SHAPE) * (max - min),
  );
}

const SIGMA_SPACINGS = {
  use_karras_sigmas: karrasSigmas,
  use_lu_lambdas: exponentialSigmas, // Lu et al. 2022: equal steps of λ = -log σ, which is the same
  use_exponential_sigmas: exponentialSigmas,
  use_beta_sigmas: betaSigmas,
};
export type SigmaSpacing = keyof typeof SIGMA_SPACINGS;

/**
 * Which rule of their own noise levels follow; null when they are those of the timesteps.
 * @throws InputError when a config turns on two
 */
export function sigmaSpacingOf(config: { readonly [key: string]: unknown }): SigmaSpacing | null {
  const on = (Object.keys(SIGMA_SPACINGS) as SigmaSpacing[]).filter((key) => config[key] === true);
  if (on.length > 1)
    throw new InputError(`${on.join(' and ')} exclude each other — scheduler config — turn on one of them`);
  return on[0] ?? null;
}

/** `n` noise levels from `max` down to `min` by such a rule. */
export function spacedSigmas(spacing: SigmaSpacing, min: number, max: number, n: number): number[] {
  return SIGMA_SPACINGS[spacing](min, max, n);
}

/** The (fractional) timestep whose σ is `sigma`, linear in log σ between timesteps. */
export function sigmaToTimestep(trainSigmas: Float64Array, sigma: number): number {
  if (trainSigmas.length === 1) return 0;
  const above = trainSigmas.findIndex((s) => s > sigma);
  const low = Math.min(Math.max((above < 0 ? trainSigmas.length : above) - 1, 0), trainSigmas.length - 2);
  const [logLow, logHigh] = [Math.log(trainSigmas[low]), Math.log(trainSigmas[low + 1])];
  const weight = (logLow - Math.log(Math.max(sigma, 1e-10))) / (logLow - logHigh);
  return low + Math.min(Math.max(weight, 0), 1);
}
