/**
 * Schedulers of flow matching (Lipman et al. 2023; Esser et al. 2024, "Scaling rectified flow transformers …"): samples
 * lie on the line x = (1 − σ)·x_0 + σ·ε, and the model gives the velocity dx/dσ = ε − x_0 at timestep T·σ.
 *
 * Not for models of DDPM's process.
 */
import { InputError } from '../errors.js';
import { checkSameSize, combine, drawNoise } from './combine.js';
import {
  type FlowMatchConfig,
  type FlowMatchHeunConfig,
  flowMatchConfig,
  flowMatchHeunConfig,
  parseConfig,
  writeConfig,
} from './config.js';
import { twiceAStep } from './sigma-scheduler.js';
import { sigmaSpacingOf, spacedSigmas } from './sigmas.js';
import { StepIndex } from './step-index.js';
import { checkStepCount, linspaceAt, requireNumber } from './timesteps.js';
import type { Sampler, StepOptions, StepResult } from './types.js';

/** Moves levels towards the noise, for pictures of more pixels (Esser et al. 2024, eq. 23). */
const shifted = (sigma: number, shift: number): number => (shift * sigma) / (1 + (shift - 1) * sigma);

abstract class FlowScheduler<Config extends FlowMatchHeunConfig> implements Sampler {
  readonly initNoiseSigma = 1;
  timesteps: number[] = [];
  starts?: readonly number[];
  /** σ of each step, and the one that the last step ends at. */
  protected sigmas: number[] = [];
  /** σ at which the model is called, as `timesteps`. */
  protected levels: number[] = [];
  protected index = new StepIndex([]);

  constructor(
    readonly config: Readonly<Config>,
    private readonly className: string,
  ) {}

  abstract step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options?: StepOptions,
  ): StepResult;

  abstract setTimesteps(steps: number | readonly number[]): void;

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  previousTimestep(timestep: number): number {
    return this.index.after(timestep) ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkSameSize(noise, original);
    const sigma = this.levels[this.index.find(timestep)];
    return combine([1 - sigma, original], [sigma, noise]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig(this.className, this.config);
  }

  /** Equal steps between the noisiest and the cleanest level of training, which are shifted themselves. */
  protected equalSigmas(steps: number | readonly number[], shiftsEnds: boolean): number[] {
    requireNumber(steps, `${this.className} setTimesteps`);
    const { num_train_timesteps, shift } = this.config;
    checkStepCount(steps, num_train_timesteps);
    const cleanest = shiftsEnds ? shifted(1 / num_train_timesteps, shift) : 1 / num_train_timesteps;
    return Array.from({ length: steps }, (_, i) => 1 + linspaceAt(1, steps, i) * (cleanest - 1));
  }
}

/** Euler's method; with `stochastic_sampling`, each step goes to the picture and back with fresh noise. */
export class FlowMatchEulerDiscreteScheduler extends FlowScheduler<FlowMatchConfig> {
  /** @throws InputError for values that diffusers' FlowMatchEulerDiscreteScheduler does not take */
  constructor(config: Partial<FlowMatchConfig> = {}) {
    const name = 'FlowMatchEulerDiscreteScheduler';
    super(parseConfig(flowMatchConfig, config, name), name);
    sigmaSpacingOf(this.config);
    if (!this.config.use_dynamic_shifting) this.setTimesteps(this.config.num_train_timesteps);
  }

  /** @param mu how far to shift, under `use_dynamic_shifting`: depends on the picture's size */
  setTimesteps(steps: number | readonly number[], mu?: number): void {
    const { num_train_timesteps, shift, use_dynamic_shifting, shift_terminal, invert_sigmas } = this.config;
    if (use_dynamic_shifting && mu === undefined)
      throw new InputError('use_dynamic_shifting needs mu — setTimesteps — give it as the second argument');
    let sigmas = this.equalSigmas(steps, !use_dynamic_shifting);
    if (use_dynamic_shifting) {
      const base = this.config.time_shift_type === 'exponential' ? Math.exp(mu as number) : (mu as number);
      sigmas = sigmas.map((sigma) => base / (base + (1 / sigma - 1)));
    } else {
      sigmas = sigmas.map((sigma) => shifted(sigma, shift));
    }
    if (shift_terminal) {
      const scale = (1 - sigmas[sigmas.length - 1]) / (1 - shift_terminal);
      sigmas = sigmas.map((sigma) => 1 - (1 - sigma) / scale);
    }
    const spacing = sigmaSpacingOf(this.config);
    if (spacing) sigmas = spacedSigmas(spacing, sigmas[sigmas.length - 1], sigmas[0], sigmas.length);
    if (invert_sigmas) sigmas = sigmas.map((sigma) => 1 - sigma);
    this.levels = sigmas;
    this.sigmas = [...sigmas, invert_sigmas ? 1 : 0];
    this.timesteps = sigmas.map((sigma) => Math.fround(sigma * num_train_timesteps));
    this.index = new StepIndex(this.timesteps);
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    checkSameSize(modelOutput, sample);
    const index = this.index.find(timestep);
    const [sigma, sigmaNext] = [this.sigmas[index], this.sigmas[index + 1]];
    this.index.done(index);
    const predOriginalSample = combine([1, sample], [-sigma, modelOutput]);
    if (!this.config.stochastic_sampling)
      return { prevSample: combine([1, sample], [sigmaNext - sigma, modelOutput]), predOriginalSample };
    const noised =
      sigmaNext > 0
        ? combine([1 - sigmaNext, predOriginalSample], [sigmaNext, drawNoise(options, sample)])
        : predOriginalSample.slice();
    return { prevSample: noised, predOriginalSample };
  }
}

/** Heun's method: second order, two calls a step but the last. */
export class FlowMatchHeunDiscreteScheduler extends FlowScheduler<FlowMatchHeunConfig> {
  /** Where the step began, and the velocity there, between its two looks. */
  private begun: { sample: Float32Array; velocity: Float32Array } | null = null;

  /** @throws InputError for values that diffusers' FlowMatchHeunDiscreteScheduler does not take */
  constructor(config: Partial<FlowMatchHeunConfig> = {}) {
    const name = 'FlowMatchHeunDiscreteScheduler';
    super(parseConfig(flowMatchHeunConfig, config, name), name);
    this.setTimesteps(this.config.num_train_timesteps);
  }

  setTimesteps(steps: number | readonly number[]): void {
    const { num_train_timesteps, shift } = this.config;
    const sigmas = this.equalSigmas(steps, true).map((sigma) => shifted(sigma, shift));
    const timesteps = sigmas.map((sigma) => Math.fround(sigma * num_train_timesteps));
    const calls = twiceAStep(timesteps, sigmas, (k) => ({
      timestep: timesteps[k + 1],
      level: sigmas[k + 1],
    }));
    this.sigmas = [...sigmas, 0];
    this.timesteps = calls.timesteps;
    this.levels = calls.levels;
    this.starts = calls.starts;
    this.index = new StepIndex(this.timesteps, this.starts);
  }

  step(modelOutput: Float32Array, timestep: number, sample: Float32Array): StepResult {
    checkSameSize(modelOutput, sample);
    const index = this.index.find(timestep);
    const step = index >> 1;
    const dt = this.sigmas[step + 1] - this.sigmas[step];
    const second = index % 2 === 1;
    if (second) this.index.requireFollows(index);
    const predOriginalSample = combine([1, sample], [-this.levels[index], modelOutput]);
    this.index.done(index);
    if (!second || !this.begun) {
      this.begun = { sample: sample.slice(), velocity: modelOutput.slice() };
      return { prevSample: combine([1, sample], [dt, modelOutput]), predOriginalSample };
    }
    const { sample: from, velocity } = this.begun;
    this.begun = null;
    return { prevSample: combine([1, from], [dt / 2, velocity], [dt / 2, modelOutput]), predOriginalSample };
  }
}
