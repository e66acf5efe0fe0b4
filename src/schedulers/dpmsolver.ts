/**
 * DPM-Solver and DPM-Solver++ (Lu et al. 2022, "DPM-Solver: a fast ODE solver …" and "DPM-Solver++: fast solver for
 * guided sampling …"), the multistep variants of orders one to three, for the ODE and for the SDE. The default, 2M of
 * DPM-Solver++, gives good pictures in 10 to 20 steps.
 */
import { combine, drawNoise } from './combine.js';
import { type DPMSolverConfig, dpmSolverConfig, parseConfig } from './config.js';
import { lambdaOf, multistepTerms, stepCoefficients } from './exponential.js';
import { LambdaScheduler, truncate } from './lambda-scheduler.js';
import { requireSolver } from './solver-options.js';
import { roundHalfEven } from './timesteps.js';
import type { StepOptions, StepResult } from './types.js';

/** Runs shorter than this take their last steps at lower order (`lower_order_final`). */
export const FEW_STEPS = 15;

interface OrderOptions {
  solver_order: number;
  euler_at_final: boolean;
  lower_order_final: boolean;
  final_sigmas_type: 'zero' | 'sigma_min';
}

/**
 * The order that a step of `steps` may have. The last one goes at first order where it ends at σ = 0, since h is
 * infinite; short runs end gently.
 */
export function largestOrder(options: OrderOptions, index: number, steps: number): number {
  const { solver_order, euler_at_final, lower_order_final, final_sigmas_type } = options;
  const left = steps - index;
  const gently = lower_order_final && steps < FEW_STEPS;
  if (left === 1 && (euler_at_final || gently || final_sigmas_type === 'zero')) return 1;
  return left === 2 && gently ? Math.min(2, solver_order) : solver_order;
}

/** DPM-Solver and DPM-Solver++ (Lu et al. 2022), multistep, of orders one to three, for the ODE and for the SDE. */
export class DPMSolverMultistepScheduler extends LambdaScheduler<DPMSolverConfig> {
  /** x_θ or ε_θ at the steps before, the newest first: the history that makes the order. */
  private answers: Float64Array[] = [];

  /** @throws InputError for values that diffusers' scheduler does not take, or Sumi does not support */
  constructor(config: Partial<DPMSolverConfig> = {}) {
    const parsed = parseConfig(dpmSolverConfig, config, 'DPMSolverMultistepScheduler');
    requireSolver(parsed, 'DPMSolverMultistepScheduler');
    super(parsed, 'DPMSolverMultistepScheduler');
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    const { algorithm_type, solver_order, solver_type } = this.config;
    const index = this.index.find(timestep);
    const { original, epsilon } = this.answer(modelOutput, sample, index, options);
    const history = this.index.follows(index) ? this.answers : [];
    const answers = [algorithm_type.endsWith('++') ? original : epsilon, ...history].slice(0, solver_order);

    const [from, to] = [this.level(index), this.level(index + 1)];
    const coefficients = stepCoefficients(algorithm_type, from, to);
    const used = answers.slice(0, largestOrder(this.config, index, this.timesteps.length));
    const lambdas = used.map((_, k) => lambdaOf(this.level(index - k)));
    const terms = multistepTerms(coefficients, used, lambdas, lambdaOf(to), solver_type);
    if (coefficients.noise > 0) terms.push([coefficients.noise, drawNoise(options, sample)]);

    this.answers = answers;
    this.index.done(index);
    return {
      prevSample: combine([coefficients.sample, sample], ...terms),
      predOriginalSample: new Float32Array(original),
    };
  }

  protected override wholeTimestep(timestep: number): number {
    const rounds = this.spacing === 'use_karras_sigmas' || this.spacing === 'use_lu_lambdas';
    return rounds && this.config.beta_schedule !== 'squaredcos_cap_v2'
      ? roundHalfEven(timestep)
      : truncate(timestep);
  }
}
