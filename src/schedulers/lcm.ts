/**
 * Latent consistency models (Luo et al. 2023, algorithm 3): each step goes all the way to the picture and back to the
 * next level with fresh noise. For models distilled for it; ordinary ones draw blurred pictures.
 */
import { convertPrediction } from '../diffusion/prediction.js';
import { checkSameSize, combine, drawNoise } from './combine.js';
import type { DistilledConfig } from './config.js';
import { DistilledScheduler } from './distilled.js';
import { limitOriginal } from './limit.js';
import type { StepOptions, StepResult } from './types.js';

const SIGMA_DATA = 0.5;

/** Latent consistency models (Luo et al. 2023, algorithm 3), for models distilled for it. */
export class LCMScheduler extends DistilledScheduler {
  /** @throws InputError for values that diffusers' LCMScheduler does not take */
  constructor(config: Partial<DistilledConfig> = {}) {
    super(config, 'LCMScheduler');
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    checkSameSize(modelOutput, sample);
    const index = this.index.find(timestep);
    const { prediction_type, timestep_scaling } = this.config;
    const alphaProd = this.alphasCumprod[timestep];
    const predicted = convertPrediction(modelOutput, sample, alphaProd, prediction_type, 'sample');
    limitOriginal(predicted, this.config, options.batchSize);

    // f(x, t) = c_skip·x + c_out·x̂_0, the boundary condition f(x, 0) = x built in (appendix C)
    const scaled = timestep * timestep_scaling;
    const norm = scaled ** 2 + SIGMA_DATA ** 2;
    const denoised = combine([scaled / Math.sqrt(norm), predicted], [SIGMA_DATA ** 2 / norm, sample]);
    this.index.done(index);

    if (index === this.timesteps.length - 1)
      return { prevSample: denoised.slice(), predOriginalSample: denoised };
    const alphaProdNext = this.alphasCumprod[this.timesteps[index + 1]];
    const prevSample = combine(
      [Math.sqrt(alphaProdNext), denoised],
      [Math.sqrt(1 - alphaProdNext), drawNoise(options, sample)],
    );
    return { prevSample, predOriginalSample: denoised };
  }
}
