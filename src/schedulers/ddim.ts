/** Denoising Diffusion Implicit Models (Song, Meng & Ermon 2021): few steps, deterministic at η = 0. */
import { makeBetas } from '../diffusion/betas.js';
import { addNoise, cumulativeAlphas } from '../diffusion/noising.js';
import { convertPrediction } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { checkSameSize, combine, drawNoise } from './combine.js';
import { type DDIMConfig, ddimConfig, parseConfig, writeConfig } from './config.js';
import { limitOriginal } from './limit.js';
import { checkCustomTimesteps, checkTimestep, spacedTimesteps } from './timesteps.js';
import type { Scheduler, StepOptions, StepResult } from './types.js';

export class DDIMScheduler implements Scheduler {
  readonly config: Readonly<DDIMConfig>;
  readonly alphasCumprod: Float64Array;
  readonly initNoiseSigma = 1;
  timesteps: number[];
  private readonly finalAlphaProd: number;
  /** Training timesteps per step of sampling; null for timesteps chosen by hand. */
  private stride: number | null = 1;

  /** @throws InputError for values that diffusers' DDIMScheduler does not take */
  constructor(config: Partial<DDIMConfig> = {}) {
    this.config = parseConfig(ddimConfig, config, 'DDIMScheduler');
    this.alphasCumprod = cumulativeAlphas(makeBetas(this.config));
    this.finalAlphaProd = this.config.set_alpha_to_one ? 1 : this.alphasCumprod[0];
    this.timesteps = Array.from(this.alphasCumprod, (_, t) => t).reverse();
  }

  setTimesteps(steps: number | readonly number[]): void {
    const { num_train_timesteps } = this.config;
    if (typeof steps === 'number') {
      this.timesteps = spacedTimesteps(this.config, steps);
      this.stride = Math.floor(num_train_timesteps / steps);
    } else {
      this.timesteps = checkCustomTimesteps(steps, num_train_timesteps);
      this.stride = null;
    }
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
    const { eta = 0, useClippedModelOutput = false } = options;
    if (!(eta >= 0 && eta <= 1))
      throw new InputError(`eta is ${eta} — DDIMScheduler step — give a number from 0 to 1`);
    const prevTimestep = this.previousTimestep(timestep);
    const alphaProd = this.alphasCumprod[timestep];
    const alphaProdPrev = prevTimestep >= 0 ? this.alphasCumprod[prevTimestep] : this.finalAlphaProd;

    // "predicted x_0" of eq. 12, and the noise that goes with it
    const type = this.config.prediction_type;
    const predicted = convertPrediction(modelOutput, sample, alphaProd, type, 'sample');
    const predOriginalSample = limitOriginal(predicted, this.config, options.batchSize);
    const predEpsilon = useClippedModelOutput
      ? convertPrediction(predOriginalSample, sample, alphaProd, 'sample', 'epsilon')
      : convertPrediction(modelOutput, sample, alphaProd, type, 'epsilon');

    // σ_t(η) of eq. 16
    const variance = ((1 - alphaProdPrev) / (1 - alphaProd)) * (1 - alphaProd / alphaProdPrev);
    const sigma = eta * Math.sqrt(variance);

    // eq. 12: x_{t-1} = sqrt(ᾱ_{t-1})·x̂_0 + sqrt(1 - ᾱ_{t-1} - σ²)·ε + σ·z
    const direction = Math.sqrt(Math.max(1 - alphaProdPrev - sigma ** 2, 0)); // rounding may go below 0
    const terms: [number, Float32Array][] = [
      [Math.sqrt(alphaProdPrev), predOriginalSample],
      [direction, predEpsilon],
    ];
    if (eta > 0) terms.push([sigma, drawNoise(options, sample)]);
    return { prevSample: combine(...terms), predOriginalSample };
  }

  /**
   * `timestep` less the stride T/n rounded down, as diffusers has it: with `linspace` and `trailing` spacing it
   * can differ from the next of `timesteps` by a few training timesteps when n does not divide T.
   */
  previousTimestep(timestep: number): number {
    checkTimestep(timestep, this.config.num_train_timesteps);
    if (this.stride !== null) return timestep - this.stride;
    const index = this.timesteps.indexOf(timestep);
    if (index < 0)
      throw new InputError(
        `timestep ${timestep} is not among the ${this.timesteps.length} chosen — DDIMScheduler — step through scheduler.timesteps`,
      );
    return this.timesteps[index + 1] ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkTimestep(timestep, this.config.num_train_timesteps);
    return addNoise(original, noise, this.alphasCumprod[timestep]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig('DDIMScheduler', this.config);
  }
}
