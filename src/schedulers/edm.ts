/**
 * Schedulers of EDM models (Karras et al. 2022, "Elucidating the design space …", table 1, last column): a noise level
 * is σ itself, timesteps are log(σ)/4, and the network is one part of the denoiser,
 *
 *   D(x; σ) = c_skip·x + c_out·F(c_in·x; c_noise)
 *
 * Not for models of DDPM's process.
 */
import { churned } from './churn.js';
import { checkSameSize, combine, combine64, drawNoise } from './combine.js';
import {
  type EDMConfig,
  type EDMDPMSolverConfig,
  edmConfig,
  edmDpmSolverConfig,
  parseConfig,
  writeConfig,
} from './config.js';
import { largestOrder } from './dpmsolver.js';
import { type Level, lambdaOf, multistepTerms, stepCoefficients } from './exponential.js';
import { limitOriginal } from './limit.js';
import { exponentialSigmas, karrasSigmas } from './sigmas.js';
import { requireSolver } from './solver-options.js';
import { StepIndex } from './step-index.js';
import { checkStepCount, requireNumber } from './timesteps.js';
import type { Sampler, StepOptions, StepResult } from './types.js';

abstract class EDMScheduler<Config extends EDMConfig> implements Sampler {
  timesteps: number[] = [];
  /** σ of each step, and the one that the last step ends at. */
  protected sigmas: number[] = [];
  protected index = new StepIndex([]);

  constructor(
    readonly config: Readonly<Config>,
    private readonly className: string,
  ) {
    this.setTimesteps(config.num_train_timesteps);
  }

  abstract step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options?: StepOptions,
  ): StepResult;

  get initNoiseSigma(): number {
    return Math.sqrt(this.config.sigma_max ** 2 + 1);
  }

  setTimesteps(steps: number | readonly number[]): void {
    requireNumber(steps, `${this.className} setTimesteps`);
    const { num_train_timesteps, sigma_schedule, sigma_min, sigma_max, rho, final_sigmas_type } = this.config;
    checkStepCount(steps, num_train_timesteps);
    const sigmas =
      sigma_schedule === 'karras'
        ? karrasSigmas(sigma_min, sigma_max, steps, rho)
        : exponentialSigmas(sigma_min, sigma_max, steps);
    this.sigmas = [...sigmas, final_sigmas_type === 'zero' ? 0 : sigmas[steps - 1]];
    this.timesteps = sigmas.map((sigma) => Math.fround(Math.log(sigma) / 4)); // c_noise
    this.index = new StepIndex(this.timesteps);
  }

  scaleModelInput(sample: Float32Array, timestep: number): Float32Array {
    const sigma = this.sigmas[this.index.find(timestep)];
    return combine([1 / Math.hypot(sigma, this.config.sigma_data), sample]); // c_in
  }

  previousTimestep(timestep: number): number {
    return this.index.after(timestep) ?? Number.NEGATIVE_INFINITY;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkSameSize(noise, original);
    return combine([1, original], [this.sigmas[this.index.find(timestep)], noise]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig(this.className, this.config);
  }

  /** D(x; σ); a model of velocities has the sign of F the other way. */
  protected denoised(modelOutput: Float32Array, sample: Float32Array, sigma: number): Float64Array {
    checkSameSize(modelOutput, sample);
    const { sigma_data, prediction_type } = this.config;
    const norm = Math.hypot(sigma, sigma_data);
    const out = (sigma * sigma_data) / norm;
    return combine64(
      [(sigma_data / norm) ** 2, sample],
      [prediction_type === 'epsilon' ? out : -out, modelOutput],
    );
  }
}

/** Euler's method (algorithm 1), with churn (algorithm 2) if asked. */
export class EDMEulerScheduler extends EDMScheduler<EDMConfig> {
  /** @throws InputError for values that diffusers' EDMEulerScheduler does not take */
  constructor(config: Partial<EDMConfig> = {}) {
    super(parseConfig(edmConfig, config, 'EDMEulerScheduler'), 'EDMEulerScheduler');
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    const index = this.index.find(timestep);
    // The model has seen the sample as it was, as in diffusers.
    const raised = churned(sample, this.sigmas[index], this.sigmas.length - 1, options);
    const original = this.denoised(modelOutput, raised.sample, raised.sigma);
    this.index.done(index);
    const ratio = this.sigmas[index + 1] / raised.sigma;
    return {
      prevSample: combine([ratio, raised.sample], [1 - ratio, original]),
      predOriginalSample: new Float32Array(original),
    };
  }
}

/** DPM-Solver++ multistep (Lu et al. 2022) where α = 1. */
export class EDMDPMSolverMultistepScheduler extends EDMScheduler<EDMDPMSolverConfig> {
  private answers: Float64Array[] = [];

  /** @throws InputError for values that diffusers' EDMDPMSolverMultistepScheduler does not take */
  constructor(config: Partial<EDMDPMSolverConfig> = {}) {
    const name = 'EDMDPMSolverMultistepScheduler';
    const parsed = parseConfig(edmDpmSolverConfig, config, name);
    requireSolver(parsed, name);
    super(parsed, name);
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    const { algorithm_type, solver_order, solver_type } = this.config;
    const index = this.index.find(timestep);
    const original = this.denoised(modelOutput, sample, this.sigmas[index]);
    limitOriginal(original, this.config, options.batchSize);
    const history = this.index.follows(index) ? this.answers : [];
    const answers = [original, ...history].slice(0, solver_order);

    const level = (at: number): Level => ({ alpha: 1, sigma: this.sigmas[at] });
    const coefficients = stepCoefficients(algorithm_type, level(index), level(index + 1));
    const used = answers.slice(0, largestOrder(this.config, index, this.timesteps.length));
    const lambdas = used.map((_, k) => lambdaOf(level(index - k)));
    const terms = multistepTerms(coefficients, used, lambdas, lambdaOf(level(index + 1)), solver_type);
    if (coefficients.noise > 0) terms.push([coefficients.noise, drawNoise(options, sample)]);
    this.answers = answers;
    this.index.done(index);
    return {
      prevSample: combine([coefficients.sample, sample], ...terms),
      predOriginalSample: new Float32Array(original),
    };
  }
}
