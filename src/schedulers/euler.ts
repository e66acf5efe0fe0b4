/** Euler's method in σ, without noise and with it. */
import { combine, drawNoise, type Term } from './combine.js';
import {
  type EulerAncestralConfig,
  type EulerConfig,
  eulerAncestralConfig,
  eulerConfig,
  parseConfig,
} from './config.js';
import { SigmaScheduler } from './sigma-scheduler.js';
import type { StepOptions, StepResult } from './types.js';

/** Euler's method on the probability-flow ODE (Karras et al. 2022, algorithm 1), without churn. */
export class EulerDiscreteScheduler extends SigmaScheduler<EulerConfig> {
  /** @throws InputError for values that diffusers' EulerDiscreteScheduler does not take, or Sumi does not support */
  constructor(config: Partial<EulerConfig> = {}) {
    super(parseConfig(eulerConfig, config, 'EulerDiscreteScheduler'), 'EulerDiscreteScheduler');
  }

  step(modelOutput: Float32Array, timestep: number, sample: Float32Array): StepResult {
    const index = this.index.find(timestep);
    const [sigma, sigmaNext] = [this.sigmas[index], this.sigmas[index + 1]];
    const original = this.denoised(modelOutput, sample, sigma);
    this.index.done(index);

    // dx/dσ = (x − D(x; σ)) / σ, one step of it: x + (σ' − σ)·dx/dσ
    const ratio = sigmaNext / sigma;
    return {
      prevSample: combine([ratio, sample], [1 - ratio, original]),
      predOriginalSample: new Float32Array(original),
    };
  }
}

/**
 * A step from σ to σ' that goes below it, to σ_down, and comes back with fresh noise σ_up, so that the level is right
 * and the step as random as DDPM's: σ_up² + σ_down² = σ'² (Song et al. 2021, DDIM, eq. 16 at η = 1, in terms of σ).
 */
export function ancestralSigmas(sigma: number, sigmaNext: number): { up: number; down: number } {
  const up = Math.sqrt((sigmaNext ** 2 * (sigma ** 2 - sigmaNext ** 2)) / sigma ** 2);
  return { up, down: sigmaNext ** 2 / sigma };
}

/** Euler's method with ancestral noise at each step. */
export class EulerAncestralDiscreteScheduler extends SigmaScheduler<EulerAncestralConfig> {
  /** @throws InputError for values that diffusers' EulerAncestralDiscreteScheduler does not take */
  constructor(config: Partial<EulerAncestralConfig> = {}) {
    const parsed = parseConfig(eulerAncestralConfig, config, 'EulerAncestralDiscreteScheduler');
    super(parsed, 'EulerAncestralDiscreteScheduler');
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    const index = this.index.find(timestep);
    const sigma = this.sigmas[index];
    const original = this.denoised(modelOutput, sample, sigma);
    const { up, down } = ancestralSigmas(sigma, this.sigmas[index + 1]);
    const ratio = down / sigma;
    const terms: Term[] = [
      [ratio, sample],
      [1 - ratio, original],
    ];
    if (up > 0) terms.push([up, drawNoise(options, sample)]);
    this.index.done(index);
    return { prevSample: combine(...terms), predOriginalSample: new Float32Array(original) };
  }
}
