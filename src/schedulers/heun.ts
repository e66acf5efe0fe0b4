/** Heun's method on the probability-flow ODE (Karras et al. 2022, algorithm 1), without churn: second order. */
import { combine, combine64 } from './combine.js';
import { type HeunConfig, heunConfig, parseConfig } from './config.js';
import { limitOriginal } from './limit.js';
import { type Calls, SigmaScheduler, twiceAStep } from './sigma-scheduler.js';
import type { StepResult } from './types.js';

/**
 * Each step looks at the model twice: at its start, and where Euler's method would end. The last step, to σ = 0, is
 * Euler's, since dx/dσ has no value there. So n steps visit 2n - 1 timesteps, all but the first twice.
 */
export class HeunDiscreteScheduler extends SigmaScheduler<HeunConfig> {
  /** Where the step began, and dx/dσ there, between its two looks. */
  private begun: { sample: Float32Array; slope: Float64Array } | null = null;

  /** @throws InputError for values that diffusers' HeunDiscreteScheduler does not take */
  constructor(config: Partial<HeunConfig> = {}) {
    super(parseConfig(heunConfig, config, 'HeunDiscreteScheduler'), 'HeunDiscreteScheduler');
  }

  step(modelOutput: Float32Array, timestep: number, sample: Float32Array): StepResult {
    const index = this.index.find(timestep);
    const step = index >> 1;
    const [sigma, sigmaNext] = [this.sigmas[step], this.sigmas[step + 1]];
    const second = index % 2 === 1;
    if (second) this.index.requireFollows(index);
    const level = second ? sigmaNext : sigma;
    const denoised = this.denoised(modelOutput, sample, level);
    const { clip_sample, clip_sample_range } = this.config;
    const original = limitOriginal(denoised, { clip_sample, clip_sample_range });
    const slope = combine64([1 / level, sample], [-1 / level, original]);
    this.index.done(index);

    if (!second || !this.begun) {
      this.begun = { sample: sample.slice(), slope };
      return {
        prevSample: combine([1, sample], [sigmaNext - sigma, slope]),
        predOriginalSample: new Float32Array(original),
      };
    }
    // The trapezoid rule: x + (σ' − σ)·(d + d') / 2
    const half = (sigmaNext - sigma) / 2;
    const prevSample = combine([1, this.begun.sample], [half, this.begun.slope], [half, slope]);
    this.begun = null;
    return { prevSample, predOriginalSample: new Float32Array(original) };
  }

  protected override calls(timesteps: number[], sigmas: number[]): Calls {
    return twiceAStep(timesteps, sigmas, (k) => ({ timestep: timesteps[k + 1], level: sigmas[k + 1] }));
  }
}
