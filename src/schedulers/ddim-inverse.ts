/**
 * DDIM run backwards (Song, Meng & Ermon 2021, sec. 4.3; Mokady et al. 2023, "Null-text inversion …", eq. 3): from a
 * picture to the noise that DDIM draws it from. Timesteps rise; a step goes from the timestep below the given one.
 */
import { makeBetas } from '../diffusion/betas.js';
import { addNoise, cumulativeAlphas } from '../diffusion/noising.js';
import { convertPrediction } from '../diffusion/prediction.js';
import { checkSameSize, combine } from './combine.js';
import { type DDIMInverseConfig, ddimInverseConfig, parseConfig, writeConfig } from './config.js';
import { limitOriginal } from './limit.js';
import { checkTimestep, requireNumber, spacedTimesteps } from './timesteps.js';
import type { Scheduler, StepResult } from './types.js';

export class DDIMInverseScheduler implements Scheduler {
  readonly config: Readonly<DDIMInverseConfig>;
  readonly alphasCumprod: Float64Array;
  readonly initNoiseSigma = 1;
  /** From the cleanest to the noisiest. */
  timesteps: number[];
  private readonly initialAlphaProd: number;
  private stride = 1;

  /** @throws InputError for values that diffusers' DDIMInverseScheduler does not take */
  constructor(config: Partial<DDIMInverseConfig> = {}) {
    this.config = parseConfig(ddimInverseConfig, config, 'DDIMInverseScheduler');
    this.alphasCumprod = cumulativeAlphas(makeBetas(this.config));
    this.initialAlphaProd = this.config.set_alpha_to_one ? 1 : this.alphasCumprod[0];
    this.timesteps = Array.from(this.alphasCumprod, (_, t) => t);
  }

  setTimesteps(steps: number | readonly number[]): void {
    requireNumber(steps, 'DDIMInverseScheduler setTimesteps');
    this.timesteps = spacedTimesteps(this.config, steps).reverse();
    this.stride = Math.floor(this.config.num_train_timesteps / steps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  /** The noisier sample is `prevSample`, as in diffusers. */
  step(modelOutput: Float32Array, timestep: number, sample: Float32Array): StepResult {
    checkSameSize(modelOutput, sample);
    checkTimestep(timestep, this.config.num_train_timesteps);
    const from = timestep - this.stride;
    const alphaProd = from >= 0 ? this.alphasCumprod[from] : this.initialAlphaProd;
    const alphaProdNext = this.alphasCumprod[timestep];
    const type = this.config.prediction_type;
    const predicted = convertPrediction(modelOutput, sample, alphaProd, type, 'sample');
    const predOriginalSample = limitOriginal(predicted, this.config);
    const epsilon = convertPrediction(modelOutput, sample, alphaProd, type, 'epsilon');
    const prevSample = combine(
      [Math.sqrt(alphaProdNext), predOriginalSample],
      [Math.sqrt(1 - alphaProdNext), epsilon],
    );
    return { prevSample, predOriginalSample };
  }

  /** The timestep that the sample of a step belongs to; below 0 for the clean picture. */
  previousTimestep(timestep: number): number {
    checkTimestep(timestep, this.config.num_train_timesteps);
    return timestep - this.stride;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkTimestep(timestep, this.config.num_train_timesteps);
    return addNoise(original, noise, this.alphasCumprod[timestep]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig('DDIMInverseScheduler', this.config);
  }
}
