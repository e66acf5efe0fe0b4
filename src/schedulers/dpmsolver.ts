/**
 * DPM-Solver++ (Lu et al. 2022, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
 * models"), the multistep variant of first and second order, 2M: good pictures in 10 to 20 steps.
 */
import { addNoise } from '../diffusion/noising.js';
import { convertPrediction } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { checkSameSize, combine } from './combine.js';
import { type DPMSolverConfig, dpmSolverConfig, parseConfig, writeConfig } from './config.js';
import { limitOriginal } from './limit.js';
import { alphaProdOf, alphasCumprodAboveZero, karrasSigmas, sigmasOf, sigmaToTimestep } from './sigmas.js';
import { StepIndex } from './step-index.js';
import {
  checkCustomTimesteps,
  checkStepCount,
  checkTimestep,
  linspaceAt,
  roundHalfEven,
} from './timesteps.js';
import type { Scheduler, StepOptions, StepResult } from './types.js';

/** Runs shorter than this take their last steps at lower order (`lower_order_final`). */
const FEW_STEPS = 15;

export class DPMSolverMultistepScheduler implements Scheduler {
  readonly config: Readonly<DPMSolverConfig>;
  readonly alphasCumprod: Float64Array;
  readonly initNoiseSigma = 1;
  timesteps: number[];
  private readonly trainSigmas: Float64Array;
  /** σ of each step, and the one that the last step ends at. */
  private sigmas: number[];
  private index: StepIndex;
  /** x̂_0 of the step before: the history that makes the method second order. */
  private previousOriginal: Float32Array | null = null;

  /** @throws InputError for values that diffusers' scheduler does not take, or Sumi does not support */
  constructor(config: Partial<DPMSolverConfig> = {}) {
    this.config = parseConfig(dpmSolverConfig, config, 'DPMSolverMultistepScheduler');
    this.alphasCumprod = alphasCumprodAboveZero(this.config);
    this.trainSigmas = sigmasOf(this.alphasCumprod);
    this.timesteps = Array.from(this.trainSigmas, (_, t) => t).reverse();
    this.sigmas = [...Array.from(this.trainSigmas).reverse(), 0];
    this.index = new StepIndex(this.timesteps);
  }

  setTimesteps(steps: number | readonly number[]): void {
    const { use_karras_sigmas, num_train_timesteps, beta_schedule, final_sigmas_type } = this.config;
    let sigmas: number[];
    if (typeof steps !== 'number') {
      if (use_karras_sigmas)
        throw new InputError(
          'timesteps cannot be chosen under use_karras_sigmas — setTimesteps — give a number',
        );
      this.timesteps = checkCustomTimesteps(steps, num_train_timesteps);
      sigmas = this.timesteps.map((t) => this.trainSigmas[t]);
    } else if (use_karras_sigmas) {
      checkStepCount(steps, num_train_timesteps);
      sigmas = karrasSigmas(this.trainSigmas[0], this.trainSigmas[num_train_timesteps - 1], steps);
      // The model was trained on whole timesteps; which way they are rounded is diffusers' choice.
      const round = beta_schedule === 'squaredcos_cap_v2' ? Math.trunc : roundHalfEven;
      this.timesteps = sigmas.map((sigma) => round(sigmaToTimestep(this.trainSigmas, sigma)));
    } else {
      this.timesteps = this.spacedTimesteps(steps);
      sigmas = this.timesteps.map((t) => this.trainSigmas[t]);
    }
    this.sigmas = [...sigmas, final_sigmas_type === 'sigma_min' ? this.trainSigmas[0] : 0];
    this.index = new StepIndex(this.timesteps);
    this.previousOriginal = null;
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    checkSameSize(modelOutput, sample);
    const index = this.index.find(timestep);
    const history = this.index.follows(index) ? this.previousOriginal : null;
    if (history) checkSameSize(modelOutput, history);

    // Data prediction x_θ (sec. 3.1)
    const alphaProd = alphaProdOf(this.sigmas[index]);
    const type = this.config.prediction_type;
    const predicted = convertPrediction(modelOutput, sample, alphaProd, type, 'sample');
    const predOriginalSample = limitOriginal(predicted, this.config, options.batchSize);

    // D of algorithm 2, line 9: x_θ extrapolated to the middle of the step, or x_θ itself at first order
    const [weight, historyWeight] = this.extrapolation(index, history !== null);

    // x_t = (σ_t/σ_s)·x_s − α_t·(e^{-h} − 1)·D; in the variance-exploding σ, e^{-h} is the ratio of two σ
    const [sigma, sigmaNext] = [this.sigmas[index], this.sigmas[index + 1]];
    const alphaNext = Math.sqrt(alphaProdOf(sigmaNext));
    const ratio = sigmaNext / sigma;
    const gain = alphaNext * (1 - ratio);
    const terms: [number, Float32Array][] = [
      [(ratio * alphaNext) / Math.sqrt(alphaProd), sample],
      [gain * weight, predOriginalSample],
    ];
    if (history && historyWeight !== 0) terms.push([gain * historyWeight, history]);

    this.index.done(index);
    this.previousOriginal = predOriginalSample.slice(); // the caller may change what it is given
    return { prevSample: combine(...terms), predOriginalSample };
  }

  previousTimestep(timestep: number): number {
    return this.timesteps[this.index.find(timestep) + 1] ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkTimestep(timestep, this.config.num_train_timesteps);
    const alphaProd = this.timesteps.includes(timestep)
      ? alphaProdOf(this.sigmas[this.index.find(timestep)])
      : this.alphasCumprod[timestep];
    return addNoise(original, noise, alphaProd);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig('DPMSolverMultistepScheduler', this.config);
  }

  /**
   * Weights of this step's x_θ and of the last step's. With λ = −log σ, h the step in λ and r = h_last/h,
   * D = x_θ + c/r·(x_θ − x_θ,last): c = 1/2 for `midpoint`, and for `heun` the exact integral of the slope.
   */
  private extrapolation(index: number, hasHistory: boolean): [number, number] {
    const first: [number, number] = [1, 0];
    if (!hasHistory || this.config.solver_order === 1 || this.firstOrder(index)) return first;
    const h = Math.log(this.sigmas[index] / this.sigmas[index + 1]);
    const hLast = Math.log(this.sigmas[index - 1] / this.sigmas[index]);
    if (hLast === 0 || h === 0) return first; // two steps at one timestep, which many steps can give
    const decay = Math.exp(-h);
    const c = this.config.solver_type === 'heun' ? ((decay - 1) / h + 1) / (1 - decay) : 1 / 2;
    const slope = (c * h) / hLast;
    return [1 + slope, -slope];
  }

  /** Whether the last step goes at first order: always when it ends at σ = 0, where h is infinite. */
  private firstOrder(index: number): boolean {
    if (index !== this.timesteps.length - 1) return false;
    const { euler_at_final, lower_order_final, final_sigmas_type } = this.config;
    const few = this.timesteps.length < FEW_STEPS;
    return euler_at_final || (lower_order_final && few) || final_sigmas_type === 'zero';
  }

  /** Like the spacings of the other schedulers, but with one more step, at the clean end, that is not taken. */
  private spacedTimesteps(n: number): number[] {
    const { num_train_timesteps: T, timestep_spacing, steps_offset } = this.config;
    checkStepCount(n, T);
    const last = this.lastTimestep();
    const falling = Array.from({ length: n }, (_, i) => n - i);
    switch (timestep_spacing) {
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
