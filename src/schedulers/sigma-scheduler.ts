/** What the solvers of the probability-flow ODE in σ have in common (Karras et al. 2022, table 1). */
import type { BetaConfig } from '../diffusion/betas.js';
import { conversionCoefficients, type PredictionType } from '../diffusion/prediction.js';
import { checkSameSize, combine, combine64 } from './combine.js';
import { writeConfig } from './config.js';
import {
  alphaProdOf,
  alphasCumprodAboveZero,
  interpolateSigma,
  type SigmaSpacing,
  sigmaSpacingOf,
  sigmasOf,
  sigmaToTimestep,
  spacedSigmas,
} from './sigmas.js';
import { StepIndex } from './step-index.js';
import {
  checkCustomTimesteps,
  checkTimestepRange,
  linspaceAt,
  requireNumber,
  spacedTimesteps,
  type TimestepSpacing,
} from './timesteps.js';
import type { Scheduler, StepOptions, StepResult } from './types.js';

interface SigmaConfig extends BetaConfig {
  prediction_type: PredictionType;
  timestep_spacing: TimestepSpacing;
  steps_offset: number;
  final_sigmas_type?: 'zero' | 'sigma_min';
  sigma_min?: number;
  sigma_max?: number;
  [key: string]: unknown;
}

/** Where the model is called in the course of a run. */
export interface Calls {
  timesteps: number[];
  /** σ at each of them. */
  levels: number[];
  /** Where steps begin, if not everywhere. */
  starts?: number[];
}

/**
 * Its samples are in the variance-exploding form x = x_0 + σ·ε: sampling starts from noise of
 * `initNoiseSigma`, and `scaleModelInput` gives the model its x_t. Timesteps may be fractional.
 */
export abstract class SigmaScheduler<Config extends SigmaConfig> implements Scheduler {
  readonly alphasCumprod: Float64Array;
  timesteps: number[] = [];
  starts?: readonly number[];
  /** σ at which each step starts, and the one that the last step ends at. */
  protected sigmas: number[] = [];
  protected index = new StepIndex([]);
  /** σ of each training timestep. */
  protected readonly trainSigmas: Float64Array;
  /** σ at which the model is called, as `timesteps`. */
  private levels: number[] = [];
  private readonly spacing: SigmaSpacing | null;

  constructor(
    readonly config: Readonly<Config>,
    private readonly className: string,
  ) {
    this.alphasCumprod = alphasCumprodAboveZero(config);
    this.trainSigmas = sigmasOf(this.alphasCumprod);
    this.spacing = sigmaSpacingOf(config);
    const all = Array.from(this.trainSigmas, (_, t) => t).reverse();
    this.visit(all, Array.from(this.trainSigmas).reverse());
  }

  abstract step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options?: StepOptions,
  ): StepResult;

  /** sqrt(σ_max² + 1) where the first step is short of pure noise (`leading`), else σ_max. */
  get initNoiseSigma(): number {
    const max = this.sigmas[0];
    return this.config.timestep_spacing === 'leading' ? Math.sqrt(max ** 2 + 1) : max;
  }

  setTimesteps(steps: number | readonly number[]): void {
    const timesteps = this.chooseTimesteps(steps);
    const sigmas = this.sigmasAt(timesteps);
    if (this.spacing === null) {
      this.visit(timesteps, sigmas);
      return;
    }
    const { sigma_min = sigmas[sigmas.length - 1], sigma_max = sigmas[0] } = this.config;
    const spaced = spacedSigmas(this.spacing, sigma_min, sigma_max, timesteps.length);
    const own = spaced.map((sigma) => this.timestepOf(sigma));
    this.visit(own, spaced);
  }

  scaleModelInput(sample: Float32Array, timestep: number): Float32Array {
    return combine([Math.sqrt(this.alphaProd(timestep)), sample]);
  }

  alphaProd(timestep: number): number {
    return alphaProdOf(this.levels[this.index.find(timestep)]);
  }

  previousTimestep(timestep: number): number {
    return this.index.after(timestep) ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkSameSize(noise, original);
    const own = this.timesteps.includes(timestep);
    if (!own) checkTimestepRange(timestep, this.config.num_train_timesteps);
    const sigma = own ? this.levels[this.index.find(timestep)] : interpolateSigma(this.trainSigmas, timestep);
    return combine([1, original], [sigma, noise]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig(this.className, this.config);
  }

  /** Where steps between these levels call the model: once at the start of each, unless a solver has it otherwise. */
  protected calls(timesteps: number[], sigmas: number[]): Calls {
    return { timesteps, levels: sigmas };
  }

  /** σ at each of the timesteps, falling; one more is where the last step ends. */
  protected sigmasAt(timesteps: readonly number[]): number[] {
    return timesteps.map((t) => interpolateSigma(this.trainSigmas, t));
  }

  /** What the model is told of the timesteps it is called at. */
  protected told(timesteps: readonly number[], _levels: readonly number[]): number[] {
    return [...timesteps];
  }

  /** The timestep of a level that has none of its own. */
  protected timestepOf(sigma: number): number {
    return sigmaToTimestep(this.trainSigmas, sigma);
  }

  /** The denoiser D(x; σ): x̂_0 from what the model saw. Not rounded, since slopes divide it by σ. */
  protected denoised(modelOutput: Float32Array, sample: Float32Array, sigma: number): Float64Array {
    checkSameSize(modelOutput, sample);
    const alphaProd = alphaProdOf(sigma);
    const c = conversionCoefficients(this.config.prediction_type, 'sample', alphaProd);
    return combine64([c.output, modelOutput], [c.sample * Math.sqrt(alphaProd), sample]);
  }

  private visit(timesteps: number[], sigmas: number[]): void {
    const last = this.config.final_sigmas_type === 'sigma_min' ? this.trainSigmas[0] : 0;
    this.sigmas = [...sigmas, last];
    const calls = this.calls(timesteps, sigmas);
    this.timesteps = this.told(calls.timesteps, calls.levels).map(Math.fround); // so that they survive a Float32Array
    this.levels = calls.levels;
    this.starts = calls.starts;
    this.index = new StepIndex(this.timesteps, this.starts);
  }

  private chooseTimesteps(steps: number | readonly number[]): number[] {
    const { num_train_timesteps, timestep_spacing } = this.config;
    if (typeof steps !== 'number') {
      if (this.spacing !== null) requireNumber(steps, 'setTimesteps', this.spacing);
      return checkCustomTimesteps(steps, num_train_timesteps);
    }
    const spaced = spacedTimesteps(this.config, steps);
    if (timestep_spacing !== 'linspace') return spaced;
    return spaced.map((_, i) => linspaceAt(num_train_timesteps - 1, steps, steps - 1 - i)); // not rounded
  }
}

/** The calls of a solver that looks at the model twice a step, the last one excepted, which ends at σ = 0. */
export function twiceAStep(
  timesteps: readonly number[],
  sigmas: readonly number[],
  second: (step: number) => { timestep: number; level: number },
): Calls {
  const inner = timesteps.slice(0, -1).map((_, k) => second(k));
  const interleave = <T>(first: readonly T[], seconds: readonly T[]): T[] =>
    first.flatMap((value, k) => (k < seconds.length ? [value, seconds[k]] : [value]));
  return {
    timesteps: interleave(
      timesteps,
      inner.map(({ timestep }) => timestep),
    ),
    levels: interleave(
      sigmas,
      inner.map(({ level }) => level),
    ),
    starts: timesteps.map((_, k) => 2 * k),
  };
}
