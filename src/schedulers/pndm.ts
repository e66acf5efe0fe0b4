/**
 * Pseudo numerical methods (Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds"): four-step
 * Adams–Bashforth for ε, with DDIM's formula in place of the line that classical methods go along (eq. 11). Its first
 * steps are pseudo Runge–Kutta ones, of four calls each, or with `skip_prk_steps` a single one of two calls.
 */
import { makeBetas } from '../diffusion/betas.js';
import { addNoise, cumulativeAlphas } from '../diffusion/noising.js';
import { conversionCoefficients } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { ADAMS_ORDER, adamsBashforth } from './adams.js';
import { checkSameSize, combine, combine64 } from './combine.js';
import { type PNDMConfig, parseConfig, pndmConfig, writeConfig } from './config.js';
import { StepIndex } from './step-index.js';
import { checkTimestep, spacedTimesteps } from './timesteps.js';
import type { Scheduler, StepResult } from './types.js';

/** Steps by Runge–Kutta, each of so many calls with so much weight (eq. 13). */
const RUNGE_KUTTA_STEPS = 3;
const RUNGE_KUTTA = [1 / 6, 1 / 3, 1 / 3, 1 / 6];

/**
 * For a model of velocities the outputs are averaged as they are, as in diffusers, though only ε keeps its meaning from
 * one timestep to another: that is of first order, so such models are better off with another solver.
 */
export class PNDMScheduler implements Scheduler {
  readonly config: Readonly<PNDMConfig>;
  readonly alphasCumprod: Float64Array;
  readonly initNoiseSigma = 1;
  timesteps: number[];
  starts?: readonly number[];
  private readonly finalAlphaProd: number;
  /** Training timesteps per step of sampling. */
  private stride = 1;
  /** Calls that belong to Runge–Kutta steps; the calls after them make a step each. */
  private prelude = 0;
  private index: StepIndex;
  /** Model outputs at the starts of the last steps, the newest first. */
  private outputs: Float32Array[] = [];
  /** Where a step of several calls began, and what is summed up of it. */
  private begun: { sample: Float32Array; timestep: number; sum: Float64Array } | null = null;

  /** @throws InputError for values that diffusers' PNDMScheduler does not take */
  constructor(config: Partial<PNDMConfig> = {}) {
    this.config = parseConfig(pndmConfig, config, 'PNDMScheduler');
    this.alphasCumprod = cumulativeAlphas(makeBetas(this.config));
    this.finalAlphaProd = this.config.set_alpha_to_one ? 1 : this.alphasCumprod[0];
    this.timesteps = Array.from(this.alphasCumprod, (_, t) => t).reverse();
    this.index = new StepIndex(this.timesteps);
  }

  setTimesteps(steps: number | readonly number[]): void {
    if (typeof steps !== 'number')
      throw new InputError('PNDM needs equal steps — setTimesteps — give a number instead of timesteps');
    const spaced = spacedTimesteps(this.config, steps);
    this.stride = Math.floor(this.config.num_train_timesteps / steps);
    const calls = this.config.skip_prk_steps ? this.linearCalls(spaced) : this.rungeKuttaCalls(spaced);
    this.timesteps = calls.timesteps;
    this.starts = calls.starts;
    this.index = new StepIndex(this.timesteps, this.starts);
    this.outputs = [];
    this.begun = null;
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, timestep: number, sample: Float32Array): StepResult {
    checkSameSize(modelOutput, sample);
    const index = this.index.find(timestep);
    if (!this.index.follows(index)) this.outputs = [];
    const begins = this.starts?.includes(index) ?? true;
    if (!begins) this.index.requireFollows(index);
    this.index.done(index);
    if (begins) this.outputs = [modelOutput.slice(), ...this.outputs].slice(0, ADAMS_ORDER);
    const predOriginalSample = this.convert(modelOutput, sample, timestep, 'sample');
    const prevSample =
      index < this.prelude
        ? this.rungeKutta(index % RUNGE_KUTTA.length, modelOutput, timestep, sample)
        : this.linear(begins, modelOutput, timestep, sample);
    return { prevSample, predOriginalSample: new Float32Array(predOriginalSample) };
  }

  previousTimestep(timestep: number): number {
    checkTimestep(timestep, this.config.num_train_timesteps);
    return this.index.after(timestep) ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkTimestep(timestep, this.config.num_train_timesteps);
    return addNoise(original, noise, this.alphasCumprod[timestep]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig('PNDMScheduler', this.config);
  }

  /** The linear multistep alone: the timestep after the first is visited twice, the first time to redo that step. */
  private linearCalls(spaced: readonly number[]) {
    this.prelude = 0;
    if (spaced.length === 1) return { timesteps: [...spaced], starts: undefined };
    const timesteps = [spaced[0], spaced[1], ...spaced.slice(1)];
    return { timesteps, starts: timesteps.map((_, i) => i).filter((i) => i !== 1) };
  }

  /** Runge–Kutta steps go to the middle twice and to the end once before they are done. */
  private rungeKuttaCalls(spaced: readonly number[]) {
    if (spaced.length <= RUNGE_KUTTA_STEPS)
      throw new InputError(
        `${spaced.length} steps are too few for Runge–Kutta steps — setTimesteps — take 4 or more, or set skip_prk_steps`,
      );
    const half = Math.floor(this.stride / 2);
    const first = spaced.slice(0, RUNGE_KUTTA_STEPS).flatMap((t, k) => {
      const end = spaced[k + 1];
      return [t, end + half, end + half, end];
    });
    this.prelude = first.length;
    const timesteps = [...first, ...spaced.slice(RUNGE_KUTTA_STEPS)];
    const starts = timesteps
      .map((_, i) => i)
      .filter((i) => i >= this.prelude || i % RUNGE_KUTTA.length === 0);
    return { timesteps, starts };
  }

  /** A call of a Runge–Kutta step: to the middle, anew to the middle, to the end, and to the end by the sum. */
  private rungeKutta(
    call: number,
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
  ): Float32Array {
    const half = Math.floor(this.stride / 2);
    if (call === 0 || !this.begun)
      this.begun = { sample: sample.slice(), timestep, sum: new Float64Array(sample.length) };
    const { begun } = this;
    begun.sum = combine64([1, begun.sum], [RUNGE_KUTTA[call], modelOutput]);
    const to = call % 2 === 0 ? timestep - half : timestep;
    return this.transfer(begun.sample, begun.timestep, to, call === 3 ? begun.sum : modelOutput);
  }

  /** A step by the outputs so far (eq. 12), or the redoing of the first one by the mean of both its ends. */
  private linear(
    begins: boolean,
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
  ): Float32Array {
    if (begins || !this.begun) {
      this.begun = { sample: sample.slice(), timestep, sum: new Float64Array(0) };
      return this.transfer(sample, timestep, timestep - this.stride, adamsBashforth(this.outputs));
    }
    const mean = combine64([1 / 2, this.outputs[0]], [1 / 2, modelOutput]);
    return this.transfer(this.begun.sample, timestep + this.stride, timestep, mean);
  }

  /** DDIM's formula (eq. 11): the noise taken out at one timestep goes back in at the level of another. */
  private transfer(
    sample: Float32Array,
    timestep: number,
    to: number,
    output: Float32Array | Float64Array,
  ): Float32Array {
    const alphaProd = to >= 0 ? this.alphasCumprod[to] : this.finalAlphaProd;
    const original = this.convert(output, sample, timestep, 'sample');
    const epsilon = this.convert(output, sample, timestep, 'epsilon');
    return combine([Math.sqrt(alphaProd), original], [Math.sqrt(1 - alphaProd), epsilon]);
  }

  private convert(
    output: Float32Array | Float64Array,
    sample: Float32Array,
    timestep: number,
    to: 'sample' | 'epsilon',
  ): Float64Array {
    const alphaProd = this.alphasCumprod[timestep];
    const c = conversionCoefficients(this.config.prediction_type, to, alphaProd);
    return combine64([c.output, output], [c.sample, sample]);
  }
}
