/** Euler's method on the probability-flow ODE (Karras et al. 2022, algorithm 1), without churn. */
import { convertPrediction } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { checkSameSize, combine } from './combine.js';
import { type EulerConfig, eulerConfig, parseConfig, writeConfig } from './config.js';
import {
  alphaProdOf,
  alphasCumprodAboveZero,
  interpolateSigma,
  karrasSigmas,
  sigmasOf,
  sigmaToTimestep,
} from './sigmas.js';
import { StepIndex } from './step-index.js';
import { checkCustomTimesteps, checkTimestepRange, linspaceAt, spacedTimesteps } from './timesteps.js';
import type { Scheduler, StepResult } from './types.js';

/**
 * Its samples are in the variance-exploding form x = x_0 + σ·ε: sampling starts from noise of
 * `initNoiseSigma`, and `scaleModelInput` gives the model its x_t. Timesteps may be fractional.
 */
export class EulerDiscreteScheduler implements Scheduler {
  readonly config: Readonly<EulerConfig>;
  readonly alphasCumprod: Float64Array;
  timesteps: number[];
  /** σ of each training timestep. */
  private readonly trainSigmas: Float64Array;
  /** σ of each step, and the one that the last step ends at. */
  private sigmas: number[];
  private index: StepIndex;

  /** @throws InputError for values that diffusers' EulerDiscreteScheduler does not take, or Sumi does not support */
  constructor(config: Partial<EulerConfig> = {}) {
    this.config = parseConfig(eulerConfig, config, 'EulerDiscreteScheduler');
    this.alphasCumprod = alphasCumprodAboveZero(this.config);
    this.trainSigmas = sigmasOf(this.alphasCumprod);
    this.timesteps = Array.from(this.trainSigmas, (_, t) => t).reverse();
    this.sigmas = [...Array.from(this.trainSigmas).reverse(), 0];
    this.index = new StepIndex(this.timesteps);
  }

  /** sqrt(σ_max² + 1) where the first step is short of pure noise (`leading`), else σ_max. */
  get initNoiseSigma(): number {
    const max = this.sigmas[0];
    return this.config.timestep_spacing === 'leading' ? Math.sqrt(max ** 2 + 1) : max;
  }

  setTimesteps(steps: number | readonly number[]): void {
    const timesteps = this.chooseTimesteps(steps);
    let sigmas = timesteps.map((t) => interpolateSigma(this.trainSigmas, t));
    if (this.config.use_karras_sigmas) {
      const { sigma_min = null, sigma_max = null } = this.config;
      sigmas = karrasSigmas(sigma_min ?? sigmas[sigmas.length - 1], sigma_max ?? sigmas[0], sigmas.length);
    }
    this.sigmas = [...sigmas, this.config.final_sigmas_type === 'sigma_min' ? this.trainSigmas[0] : 0];
    const chosen = this.config.use_karras_sigmas
      ? sigmas.map((sigma) => sigmaToTimestep(this.trainSigmas, sigma))
      : timesteps;
    this.timesteps = chosen.map(Math.fround); // so that they survive a Float32Array
    this.index = new StepIndex(this.timesteps);
  }

  scaleModelInput(sample: Float32Array, timestep: number): Float32Array {
    return combine([Math.sqrt(alphaProdOf(this.sigmas[this.index.find(timestep)])), sample]);
  }

  step(modelOutput: Float32Array, timestep: number, sample: Float32Array): StepResult {
    checkSameSize(modelOutput, sample);
    const index = this.index.find(timestep);
    const [sigma, sigmaNext] = [this.sigmas[index], this.sigmas[index + 1]];
    this.index.done(index);

    // The denoiser D(x; σ): x̂_0 from what the model saw
    const alphaProd = alphaProdOf(sigma);
    const seen = combine([Math.sqrt(alphaProd), sample]);
    const type = this.config.prediction_type;
    const predOriginalSample = convertPrediction(modelOutput, seen, alphaProd, type, 'sample');

    // dx/dσ = (x − D(x; σ)) / σ, one step of it: x + (σ' − σ)·dx/dσ
    const ratio = sigmaNext / sigma;
    return { prevSample: combine([ratio, sample], [1 - ratio, predOriginalSample]), predOriginalSample };
  }

  previousTimestep(timestep: number): number {
    return this.timesteps[this.index.find(timestep) + 1] ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkTimestepRange(timestep, this.config.num_train_timesteps);
    checkSameSize(noise, original);
    const sigma = this.timesteps.includes(timestep)
      ? this.sigmas[this.index.find(timestep)]
      : interpolateSigma(this.trainSigmas, timestep);
    return combine([1, original], [sigma, noise]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig('EulerDiscreteScheduler', this.config);
  }

  private chooseTimesteps(steps: number | readonly number[]): number[] {
    const { num_train_timesteps, timestep_spacing, use_karras_sigmas } = this.config;
    if (typeof steps !== 'number') {
      if (use_karras_sigmas)
        throw new InputError(
          'timesteps cannot be chosen under use_karras_sigmas — setTimesteps — give a number',
        );
      return checkCustomTimesteps(steps, num_train_timesteps);
    }
    const spaced = spacedTimesteps(this.config, steps);
    if (timestep_spacing !== 'linspace') return spaced;
    return spaced.map((_, i) => linspaceAt(num_train_timesteps - 1, steps, steps - 1 - i)); // not rounded
  }
}
