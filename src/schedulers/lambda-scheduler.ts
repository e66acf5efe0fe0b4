/** What the solvers that step in λ = log(α/σ) have in common: their samples are DDPM's x_t, their levels σ/α. */
import type { BetaConfig } from '../diffusion/betas.js';
import { addNoise } from '../diffusion/noising.js';
import { conversionCoefficients, type PredictionType } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { checkSameSize, combine64 } from './combine.js';
import { writeConfig } from './config.js';
import { type Level, preservingLevel } from './exponential.js';
import { type FlowConfig, flowConversion, flowLevel, flowSigmas, requireFlow } from './flow-sigmas.js';
import { limitOriginal } from './limit.js';
import {
  alphaProdOf,
  alphasCumprodAboveZero,
  type SigmaSpacing,
  sigmaSpacingOf,
  sigmasOf,
  sigmaToTimestep,
  spacedSigmas,
} from './sigmas.js';
import { StepIndex } from './step-index.js';
import {
  checkCustomTimesteps,
  checkStepCount,
  checkTimestep,
  linspaceAt,
  requireNumber,
  roundHalfEven,
  type TimestepSpacing,
} from './timesteps.js';
import type { Scheduler, StepOptions, StepResult } from './types.js';

interface LambdaConfig extends BetaConfig, FlowConfig {
  prediction_type: PredictionType;
  timestep_spacing: TimestepSpacing;
  steps_offset: number;
  thresholding: boolean;
  dynamic_thresholding_ratio: number;
  sample_max_value: number;
  final_sigmas_type?: 'zero' | 'sigma_min';
  lambda_min_clipped?: number;
  sigma_min?: number;
  sigma_max?: number;
  [key: string]: unknown;
}

export abstract class LambdaScheduler<Config extends LambdaConfig> implements Scheduler {
  readonly alphasCumprod: Float64Array;
  readonly initNoiseSigma = 1;
  timesteps: number[];
  /** σ of each training timestep, in the variance-exploding form. */
  protected readonly trainSigmas: Float64Array;
  /** σ of each step in that form, and the one that the last step ends at. */
  protected sigmas: number[];
  protected index: StepIndex;
  protected readonly spacing: SigmaSpacing | null;
  /** Whether the levels are a flow's, (1 − σ)·x_0 + σ·ε, rather than DDPM's. */
  protected readonly flow: boolean;

  constructor(
    readonly config: Readonly<Config>,
    private readonly className: string,
  ) {
    this.alphasCumprod = alphasCumprodAboveZero(config);
    this.trainSigmas = sigmasOf(this.alphasCumprod);
    this.spacing = sigmaSpacingOf(config);
    this.flow = config.use_flow_sigmas;
    requireFlow(config, this.spacing, className);
    this.timesteps = Array.from(this.trainSigmas, (_, t) => t).reverse();
    this.sigmas = [...Array.from(this.trainSigmas).reverse(), 0];
    this.index = new StepIndex(this.timesteps);
  }

  abstract step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options?: StepOptions,
  ): StepResult;

  setTimesteps(steps: number | readonly number[]): void {
    const { num_train_timesteps } = this.config;
    const { trainSigmas, spacing } = this;
    if (this.flow) {
      requireNumber(steps, 'setTimesteps', 'use_flow_sigmas');
      checkStepCount(steps, num_train_timesteps);
      this.sigmas = this.flowSigmas(steps);
      this.timesteps = this.sigmas.map((sigma) => Math.trunc(sigma * num_train_timesteps));
    } else if (spacing === null) {
      this.timesteps =
        typeof steps === 'number'
          ? this.spacedTimesteps(steps)
          : checkCustomTimesteps(steps, num_train_timesteps);
      this.sigmas = this.timesteps.map((t) => trainSigmas[t]);
    } else {
      requireNumber(steps, 'setTimesteps', spacing);
      checkStepCount(steps, num_train_timesteps);
      const { sigma_min = trainSigmas[0], sigma_max = trainSigmas[num_train_timesteps - 1] } = this.config;
      this.sigmas = spacedSigmas(spacing, sigma_min, sigma_max, steps);
      this.timesteps = this.sigmas.map((sigma) => this.wholeTimestep(sigmaToTimestep(trainSigmas, sigma)));
    }
    this.sigmas.push(this.finalSigma(this.sigmas));
    this.index = new StepIndex(this.timesteps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  alphaProd(timestep: number): number {
    return alphaProdOf(this.sigmas[this.index.find(timestep)]);
  }

  previousTimestep(timestep: number): number {
    return this.index.after(timestep) ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkTimestep(timestep, this.config.num_train_timesteps);
    if (this.flow) {
      const { alpha, sigma } = this.level(this.index.find(timestep));
      return new Float32Array(combine64([alpha, original], [sigma, noise]));
    }
    const alphaProd = this.timesteps.includes(timestep)
      ? alphaProdOf(this.sigmas[this.index.find(timestep)])
      : this.alphasCumprod[timestep];
    return addNoise(original, noise, alphaProd);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig(this.className, this.config);
  }

  /** The level of a step, or that of its end at the next index. */
  protected level(index: number): Level {
    return this.flow ? flowLevel(this.sigmas[index]) : preservingLevel(this.sigmas[index]);
  }

  /** The noise levels of `use_flow_sigmas`, falling. */
  protected flowSigmas(steps: number): number[] {
    return flowSigmas(this.config, steps);
  }

  /** σ that the last step ends at. */
  protected finalSigma(_sigmas: readonly number[]): number {
    return this.config.final_sigmas_type === 'sigma_min' ? this.trainSigmas[0] : 0;
  }

  /** The model was trained on whole timesteps; which way others are rounded is diffusers' choice. */
  protected wholeTimestep(timestep: number): number {
    return this.spacing === 'use_karras_sigmas' ? roundHalfEven(timestep) : truncate(timestep);
  }

  /** What the model says at a step: x̂_0, limited as the config says, and the ε that goes with it. */
  protected answer(
    modelOutput: Float32Array,
    sample: Float32Array,
    index: number,
    options: StepOptions,
  ): { original: Float64Array; epsilon: Float64Array } {
    checkSameSize(modelOutput, sample);
    const { prediction_type, thresholding } = this.config;
    const sigma = this.sigmas[index];
    const convert = (values: Float32Array | Float64Array, from: PredictionType, to: PredictionType) => {
      const c = this.flow
        ? flowConversion(from, to, sigma)
        : conversionCoefficients(from, to, alphaProdOf(sigma));
      return combine64([c.output, values], [c.sample, sample]);
    };
    const original = convert(modelOutput, prediction_type, 'sample');
    limitOriginal(original, this.config, options.batchSize);
    const epsilon = thresholding
      ? convert(original, 'sample', 'epsilon')
      : convert(modelOutput, prediction_type, 'epsilon');
    return { original, epsilon };
  }

  /** Like the spacings of the other schedulers, but with one more step, at the clean end, that is not taken. */
  protected spacedTimesteps(n: number, spacing: TimestepSpacing = this.config.timestep_spacing): number[] {
    const { num_train_timesteps: T, steps_offset } = this.config;
    checkStepCount(n, T);
    const last = this.lastTimestep();
    const falling = Array.from({ length: n }, (_, i) => n - i);
    switch (spacing) {
      case 'linspace':
        return falling.map((i) => roundHalfEven(linspaceAt(last - 1, n + 1, i)));
      case 'leading': {
        const ratio = Math.floor(last / (n + 1));
        const timesteps = falling.map((i) => i * ratio + steps_offset);
        if (ratio > 0 && timesteps[0] < T) return timesteps;
        throw new InputError(
          `${n} steps do not fit ${last} timesteps with leading spacing — setTimesteps — take fewer steps`,
        );
      }
      case 'trailing': {
        const step = last - T / n - last; // rounded as NumPy's arange does it, which decides some halves
        const timesteps = Array.from({ length: n }, (_, i) => roundHalfEven(last + i * step) - 1);
        return timesteps.filter((t) => t >= 0);
      }
    }
  }

  /** One past the noisiest timestep in use: `lambda_min_clipped` leaves out those with log(α/σ) below it. */
  private lastTimestep(): number {
    const { lambda_min_clipped = -Infinity } = this.config;
    return this.trainSigmas.filter((sigma) => -Math.log(sigma) >= lambda_min_clipped).length;
  }
}

/** Down to a whole number, but not from just below one, where rounding may have left it. */
export function truncate(timestep: number): number {
  return Math.trunc(timestep + 1e-6);
}
