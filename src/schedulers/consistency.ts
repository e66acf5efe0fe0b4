/**
 * Consistency models (Song et al. 2023, "Consistency models", algorithm 1): each step goes all the way to the picture
 * and back to the next noise level with fresh noise. Not for models of DDPM's process.
 */
import { checkSameSize, combine, drawNoise } from './combine.js';
import { type ConsistencyConfig, consistencyConfig, parseConfig, writeConfig } from './config.js';
import { limitOriginal } from './limit.js';
import { StepIndex } from './step-index.js';
import { checkCustomTimesteps, checkStepCount } from './timesteps.js';
import type { Sampler, StepOptions, StepResult } from './types.js';

const NAME = 'CMStochasticIterativeScheduler';

export class CMStochasticIterativeScheduler implements Sampler {
  readonly config: Readonly<ConsistencyConfig>;
  /** 250·log σ. */
  timesteps: number[] = [];
  /** σ of each step, and σ_min after them. */
  private sigmas: number[] = [];
  private index = new StepIndex([]);

  /** @throws InputError for values that diffusers' CMStochasticIterativeScheduler does not take */
  constructor(config: Partial<ConsistencyConfig> = {}) {
    this.config = parseConfig(consistencyConfig, config, NAME);
    this.setTimesteps(this.config.num_train_timesteps);
  }

  get initNoiseSigma(): number {
    return this.config.sigma_max;
  }

  /** @param steps a number, or indices of the levels of training, from num_train_timesteps - 1, the noisiest, down */
  setTimesteps(steps: number | readonly number[]): void {
    const { num_train_timesteps: T, sigma_min, sigma_max, rho } = this.config;
    let chosen: number[];
    if (typeof steps === 'number') {
      checkStepCount(steps, T);
      chosen = Array.from({ length: steps }, (_, i) => i * Math.floor(T / steps));
    } else {
      chosen = checkCustomTimesteps(steps, T).reverse();
    }
    const [low, high] = [sigma_min ** (1 / rho), sigma_max ** (1 / rho)];
    const sigmas = chosen.map((i) => (high + (i / (T - 1)) * (low - high)) ** rho);
    this.sigmas = [...sigmas, sigma_min];
    this.timesteps = sigmas.map((sigma) => Math.fround(250 * Math.log(sigma)));
    this.index = new StepIndex(this.timesteps);
  }

  scaleModelInput(sample: Float32Array, timestep: number): Float32Array {
    const sigma = this.sigmas[this.index.find(timestep)];
    return combine([1 / Math.hypot(sigma, this.config.sigma_data), sample]);
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    checkSameSize(modelOutput, sample);
    const index = this.index.find(timestep);
    const [sigma, sigmaNext] = [this.sigmas[index], this.sigmas[index + 1]];
    const { sigma_data, sigma_min, sigma_max, s_noise, clip_denoised } = this.config;
    this.index.done(index);

    // f(x, σ) = c_skip·x + c_out·F, with f(x, σ_min) = x built in (appendix C)
    const above = sigma - sigma_min;
    const skip = sigma_data ** 2 / (above ** 2 + sigma_data ** 2);
    const out = (above * sigma_data) / Math.hypot(sigma, sigma_data);
    const predOriginalSample = combine([out, modelOutput], [skip, sample]);
    limitOriginal(predOriginalSample, { clip_sample: clip_denoised });

    const level = Math.min(Math.max(sigmaNext, sigma_min), sigma_max);
    const noise = s_noise * Math.sqrt(level ** 2 - sigma_min ** 2);
    if (noise === 0 || this.timesteps.length === 1)
      return { prevSample: predOriginalSample.slice(), predOriginalSample };
    const prevSample = combine([1, predOriginalSample], [noise, drawNoise(options, sample)]);
    return { prevSample, predOriginalSample };
  }

  previousTimestep(timestep: number): number {
    return this.index.after(timestep) ?? Number.NEGATIVE_INFINITY;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkSameSize(noise, original);
    return combine([1, original], [this.sigmas[this.index.find(timestep)], noise]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig(NAME, this.config);
  }
}
