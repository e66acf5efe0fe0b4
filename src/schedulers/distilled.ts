/** What the schedulers of distilled models have in common: few steps, out of the timesteps of the distillation. */
import { makeBetas } from '../diffusion/betas.js';
import { addNoise, cumulativeAlphas } from '../diffusion/noising.js';
import { InputError } from '../errors.js';
import { type DistilledConfig, distilledConfig, parseConfig, writeConfig } from './config.js';
import { StepIndex } from './step-index.js';
import { checkCustomTimesteps, checkStepCount, checkTimestep } from './timesteps.js';
import type { Scheduler, StepOptions, StepResult } from './types.js';

export abstract class DistilledScheduler implements Scheduler {
  readonly config: Readonly<DistilledConfig>;
  readonly alphasCumprod: Float64Array;
  readonly initNoiseSigma = 1;
  timesteps: number[];
  protected index: StepIndex;

  constructor(
    config: Partial<DistilledConfig>,
    private readonly className: string,
  ) {
    this.config = parseConfig(distilledConfig, config, className);
    this.alphasCumprod = cumulativeAlphas(makeBetas(this.config));
    this.timesteps = Array.from(this.alphasCumprod, (_, t) => t).reverse();
    this.index = new StepIndex(this.timesteps);
  }

  abstract step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options?: StepOptions,
  ): StepResult;

  /**
   * A number of steps takes as many of the `original_inference_steps` timesteps that the model was distilled with.
   * @throws InputError for more steps than these
   */
  setTimesteps(steps: number | readonly number[]): void {
    const { num_train_timesteps, original_inference_steps } = this.config;
    if (typeof steps === 'number') {
      checkStepCount(steps, num_train_timesteps);
      if (original_inference_steps > num_train_timesteps)
        throw new InputError(
          `original_inference_steps is ${original_inference_steps} for ${num_train_timesteps} timesteps — ${this.className} config — set it to as many or less`,
        );
      if (steps > original_inference_steps)
        throw new InputError(
          `${steps} steps of the ${original_inference_steps} that models are distilled with — ${this.className} setTimesteps — take fewer, or set original_inference_steps`,
        );
      const stride = Math.floor(num_train_timesteps / original_inference_steps);
      const skip = original_inference_steps / steps;
      this.timesteps = Array.from({ length: steps }, (_, i) => {
        return (original_inference_steps - Math.floor(i * skip)) * stride - 1;
      });
    } else {
      this.timesteps = checkCustomTimesteps(steps, num_train_timesteps);
    }
    this.index = new StepIndex(this.timesteps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  previousTimestep(timestep: number): number {
    return this.index.after(timestep) ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkTimestep(timestep, this.config.num_train_timesteps);
    return addNoise(original, noise, this.alphasCumprod[timestep]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig(this.className, this.config);
  }
}
