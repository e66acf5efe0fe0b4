/** Denoising Diffusion Probabilistic Models (Ho, Jain & Abbeel 2020): ancestral sampling. */
import { makeBetas } from '../diffusion/betas.js';
import { addNoise, cumulativeAlphas } from '../diffusion/noising.js';
import { convertPrediction } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { checkSameSize, combine, drawNoise } from './combine.js';
import { type DDPMConfig, ddpmConfig, parseConfig, writeConfig } from './config.js';
import { limitOriginal } from './limit.js';
import { checkCustomTimesteps, checkTimestep, spacedTimesteps } from './timesteps.js';
import type { Scheduler, StepOptions, StepResult } from './types.js';

/** Noise levels on both sides of a step, t being the noisier one. */
interface Levels {
  alphaProd: number;
  alphaProdPrev: number;
  betaProd: number;
  betaProdPrev: number;
  /** α_t and β_t of this step, which may span many training timesteps. */
  alpha: number;
  beta: number;
}

/** The variance is never below this, so that its logarithm exists. */
const MIN_VARIANCE = 1e-20;

export class DDPMScheduler implements Scheduler {
  readonly config: Readonly<DDPMConfig>;
  readonly alphasCumprod: Float64Array;
  readonly initNoiseSigma = 1;
  timesteps: number[];
  /** While no timesteps have been set, the scheduler visits all of them. */
  private spaced = false;

  /** @throws InputError for values that diffusers' DDPMScheduler does not take, and for learned variances */
  constructor(config: Partial<DDPMConfig> = {}) {
    this.config = parseConfig(ddpmConfig, config, 'DDPMScheduler');
    this.alphasCumprod = cumulativeAlphas(makeBetas(this.config));
    this.timesteps = Array.from(this.alphasCumprod, (_, t) => t).reverse();
  }

  setTimesteps(steps: number | readonly number[]): void {
    this.timesteps =
      typeof steps === 'number'
        ? spacedTimesteps(this.config, steps)
        : checkCustomTimesteps(steps, this.config.num_train_timesteps);
    this.spaced = true;
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    checkSameSize(modelOutput, sample);
    const levels = this.levels(timestep);
    const { prediction_type } = this.config;

    // x̂_0 (eq. 15, or its counterpart for another prediction type)
    const predicted = convertPrediction(modelOutput, sample, levels.alphaProd, prediction_type, 'sample');
    const predOriginalSample = limitOriginal(predicted, this.config, options.batchSize);

    // μ̃_t(x_t, x̂_0) (eq. 7)
    const originalCoefficient = (Math.sqrt(levels.alphaProdPrev) * levels.beta) / levels.betaProd;
    const sampleCoefficient = (Math.sqrt(levels.alpha) * levels.betaProdPrev) / levels.betaProd;
    const mean: [number, Float32Array][] = [
      [originalCoefficient, predOriginalSample],
      [sampleCoefficient, sample],
    ];

    // x_{t-1} = μ̃_t + σ_t·z, without noise on the step from t = 0 (algorithm 2)
    const prevSample =
      timestep > 0
        ? combine(...mean, [Math.sqrt(this.variance(levels)), drawNoise(options, sample)])
        : combine(...mean);
    return { prevSample, predOriginalSample };
  }

  previousTimestep(timestep: number): number {
    checkTimestep(timestep, this.config.num_train_timesteps);
    if (!this.spaced) return timestep - 1;
    const index = this.timesteps.indexOf(timestep);
    if (index < 0)
      throw new InputError(
        `timestep ${timestep} is not among the ${this.timesteps.length} chosen — DDPMScheduler — step through scheduler.timesteps`,
      );
    return this.timesteps[index + 1] ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkTimestep(timestep, this.config.num_train_timesteps);
    return addNoise(original, noise, this.alphasCumprod[timestep]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig('DDPMScheduler', this.config);
  }

  private levels(timestep: number): Levels {
    const prevTimestep = this.previousTimestep(timestep);
    const alphaProd = this.alphasCumprod[timestep];
    const alphaProdPrev = prevTimestep >= 0 ? this.alphasCumprod[prevTimestep] : 1;
    const alpha = alphaProd / alphaProdPrev;
    return {
      alphaProd,
      alphaProdPrev,
      betaProd: 1 - alphaProd,
      betaProdPrev: 1 - alphaProdPrev,
      alpha,
      beta: 1 - alpha,
    };
  }

  /**
   * σ²_t: β̃_t (eq. 7), the lower bound, for `fixed_small`, and β_t, the upper bound, for `fixed_large`
   * (sec. 3.2). The `_log` forms are the same variance computed through its logarithm. (diffusers 0.42 takes a
   * square root of the logarithm itself for `fixed_large_log`, which is NaN; here it is what it is meant to be.)
   */
  private variance({ beta, betaProd, betaProdPrev }: Levels): number {
    switch (this.config.variance_type) {
      case 'fixed_small':
      case 'fixed_small_log':
        return Math.max((betaProdPrev / betaProd) * beta, MIN_VARIANCE);
      case 'fixed_large':
      case 'fixed_large_log':
        return beta;
    }
  }
}
