/**
 * Trajectory consistency distillation (Zheng et al. 2024, "Trajectory consistency distillation", strategic stochastic
 * sampling, algorithm 2): each step goes past the next level, by γ (`eta`), and back to it with fresh noise. γ = 0 is
 * DDIM, γ = 1 goes all the way to the picture. For models distilled for it.
 */
import { convertPrediction } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { checkSameSize, combine, drawNoise } from './combine.js';
import type { DistilledConfig } from './config.js';
import { DistilledScheduler } from './distilled.js';
import type { StepOptions, StepResult } from './types.js';

/** Trajectory consistency distillation (Zheng et al. 2024, algorithm 2), for models distilled for it. */
export class TCDScheduler extends DistilledScheduler {
  readonly defaultEta = 0.3;

  /** @throws InputError for values that diffusers' TCDScheduler does not take */
  constructor(config: Partial<DistilledConfig> = {}) {
    super(config, 'TCDScheduler');
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    checkSameSize(modelOutput, sample);
    const { eta = this.defaultEta } = options;
    if (!(eta >= 0 && eta <= 1))
      throw new InputError(`eta is ${eta} — TCDScheduler step — give a number from 0 to 1`);
    const index = this.index.find(timestep);
    const next = this.timesteps[index + 1] ?? 0;
    // In single precision, as PyTorch has it, since the whole number below depends on it.
    const past = Math.floor(Math.fround(Math.fround(1 - eta) * next));
    const alphaProd = this.alphasCumprod[timestep];
    const alphaProdPast = this.alphasCumprod[past];

    // To the timestep past the next one, by DDIM's formula
    const { prediction_type } = this.config;
    const predOriginalSample = convertPrediction(modelOutput, sample, alphaProd, prediction_type, 'sample');
    const epsilon = convertPrediction(modelOutput, sample, alphaProd, prediction_type, 'epsilon');
    const reached = combine(
      [Math.sqrt(alphaProdPast), predOriginalSample],
      [Math.sqrt(1 - alphaProdPast), epsilon],
    );
    this.index.done(index);
    if (eta === 0 || index === this.timesteps.length - 1) return { prevSample: reached, predOriginalSample };

    // And back by the forward process
    const ratio = this.alphasCumprod[next] / alphaProdPast;
    const prevSample = combine(
      [Math.sqrt(ratio), reached],
      [Math.sqrt(1 - ratio), drawNoise(options, sample)],
    );
    return { prevSample, predOriginalSample };
  }
}
