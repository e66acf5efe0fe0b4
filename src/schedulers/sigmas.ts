/**
 * Noise levels in the variance-exploding form x = x_0 + σ·ε, with σ = sqrt((1-ᾱ)/ᾱ); x·sqrt(ᾱ) is the x_t of
 * DDPM (Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", table 1).
 */
import { type BetaConfig, makeBetas } from '../diffusion/betas.js';
import { cumulativeAlphas } from '../diffusion/noising.js';
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

/** The exponent of the noise schedule that Karras et al. found best. */
const RHO = 7;

/** `n` noise levels from `max` down to `min`, equally spaced in σ^(1/ρ) (Karras et al. 2022, eq. 5). */
export function karrasSigmas(min: number, max: number, n: number): number[] {
  const [low, high] = [min ** (1 / RHO), max ** (1 / RHO)];
  return Array.from({ length: n }, (_, i) => (high + linspaceAt(1, n, i) * (low - high)) ** RHO);
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
