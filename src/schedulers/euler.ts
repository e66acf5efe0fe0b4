/** Euler's method in σ, without noise and with it. */
import { churned } from './churn.js';
import { combine, drawNoise, type Term } from './combine.js';
import {
  type EulerAncestralConfig,
  type EulerConfig,
  eulerAncestralConfig,
  eulerConfig,
  parseConfig,
} from './config.js';
import { SigmaScheduler } from './sigma-scheduler.js';
import { exponentialSigmas } from './sigmas.js';
import { requireNumber } from './timesteps.js';
import type { StepOptions, StepResult } from './types.js';

/** Euler's method on the probability-flow ODE (Karras et al. 2022, algorithm 1), with churn (algorithm 2) if asked. */
export class EulerDiscreteScheduler extends SigmaScheduler<EulerConfig> {
  /** @throws InputError for values that diffusers' EulerDiscreteScheduler does not take, or Sumi does not support */
  constructor(config: Partial<EulerConfig> = {}) {
    super(parseConfig(eulerConfig, config, 'EulerDiscreteScheduler'), 'EulerDiscreteScheduler');
  }

  override setTimesteps(steps: number | readonly number[]): void {
    if (this.continuous) requireNumber(steps, 'setTimesteps', 'timestep_type continuous');
    super.setTimesteps(steps);
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    const index = this.index.find(timestep);
    const [sigma, sigmaNext] = [this.sigmas[index], this.sigmas[index + 1]];
    // The model has seen the sample as it was: what it says is taken for the raised one, as in diffusers, where ε counts
    // for the raised level and v for the one before.
    const raised = churned(sample, sigma, this.sigmas.length - 1, options);
    const level = this.config.prediction_type === 'v_prediction' ? sigma : raised.sigma;
    const original = this.denoised(modelOutput, raised.sample, level);
    this.index.done(index);

    // dx/dσ = (x − D(x; σ)) / σ, one step of it: x + (σ' − σ)·dx/dσ
    const ratio = sigmaNext / raised.sigma;
    return {
      prevSample: combine([ratio, raised.sample], [1 - ratio, original]),
      predOriginalSample: new Float32Array(original),
    };
  }

  /** Of `timestep_type` continuous, timesteps are log(σ)/4, as EDM's models are told them. */
  protected override told(timesteps: readonly number[], levels: readonly number[]): number[] {
    return this.continuous ? timesteps.map((_, i) => Math.log(levels[i]) / 4) : [...timesteps];
  }

  /** For models of v only, as in diffusers; others have whole timesteps whatever the key says. */
  private get continuous(): boolean {
    const { timestep_type, prediction_type } = this.config;
    return timestep_type === 'continuous' && prediction_type === 'v_prediction';
  }

  /** Of `interpolation_type` log_linear, levels go evenly in log σ from end to end, whatever the timesteps. */
  protected override sigmasAt(timesteps: readonly number[]): number[] {
    if (this.config.interpolation_type === 'linear') return super.sigmasAt(timesteps);
    const [min, max] = [this.trainSigmas[0], this.trainSigmas[this.trainSigmas.length - 1]];
    return exponentialSigmas(min, max, timesteps.length + 1);
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
