/**
 * The singlestep variants of DPM-Solver and DPM-Solver++ (Lu et al. 2022), of orders one to three. Steps come in
 * blocks of as many as the order says: each step of a block starts anew from the block's first sample, with what the
 * model said on the way, so that the last step of a block reaches the order.
 */
import { combine, drawNoise, type Term } from './combine.js';
import { type DPMSolverSinglestepConfig, dpmSolverSinglestepConfig, parseConfig } from './config.js';
import { lambdaOf, type SolverType, type StepCoefficients, stepCoefficients } from './exponential.js';
import { LambdaScheduler } from './lambda-scheduler.js';
import { requireSolver } from './solver-options.js';
import type { StepOptions, StepResult } from './types.js';

/** DPM-Solver and DPM-Solver++ (Lu et al. 2022), singlestep, of orders one to three. */
export class DPMSolverSinglestepScheduler extends LambdaScheduler<DPMSolverSinglestepConfig> {
  /** Order of each step. */
  private orders: number[];
  /** Where the block began. */
  private begun: Float32Array | null = null;
  /** x_θ or ε_θ at the steps before, the newest first. */
  private answers: Float64Array[] = [];

  /** @throws InputError for values that diffusers' scheduler does not take, or Sumi does not support */
  constructor(config: Partial<DPMSolverSinglestepConfig> = {}) {
    const parsed = parseConfig(dpmSolverSinglestepConfig, config, 'DPMSolverSinglestepScheduler');
    requireSolver(parsed, 'DPMSolverSinglestepScheduler');
    super(parsed, 'DPMSolverSinglestepScheduler');
    this.orders = ordersOf(this.config, this.timesteps.length);
  }

  override setTimesteps(steps: number | readonly number[]): void {
    super.setTimesteps(steps);
    this.orders = ordersOf(this.config, this.timesteps.length);
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
    // A run that starts in the middle of a block has less to go by.
    const order = Math.min(this.orders[index], answers.length);
    const begun = order === 1 ? sample.slice() : (this.begun ?? sample);

    const first = index - order + 1;
    const to = this.level(index + 1);
    const coefficients = stepCoefficients(algorithm_type, this.level(first), to);
    const block = answers.slice(0, order).reverse();
    const lambdas = block.map((_, k) => lambdaOf(this.level(first + k)));
    const terms = singlestepTerms(coefficients, block, lambdas, lambdaOf(to), solver_type);
    if (coefficients.noise > 0) terms.push([coefficients.noise, drawNoise(options, sample)]);

    this.begun = begun;
    this.answers = answers;
    this.index.done(index);
    return {
      prevSample: combine([coefficients.sample, begun], ...terms),
      predOriginalSample: new Float32Array(original),
    };
  }

  /** diffusers' has this spacing only, whatever `timestep_spacing` says. */
  protected override spacedTimesteps(n: number): number[] {
    return super.spacedTimesteps(n, 'linspace');
  }
}

/**
 * The order of each of `n` steps: 1, 2, … up to the solver's, again and again. What is left over at the end, or a last
 * step to σ = 0, goes at lower order.
 */
function ordersOf(config: DPMSolverSinglestepConfig, n: number): number[] {
  const { solver_order: order, lower_order_final, final_sigmas_type } = config;
  const zero = final_sigmas_type === 'zero';
  const orders = Array.from({ length: n }, (_, i) => (i % order) + 1);
  if (zero || (lower_order_final && n % order === 0)) orders[n - 1] = 1;
  return orders;
}

/**
 * The terms of a step's integral when the model was asked at the start of the block and on the way.
 * @param answers m from the block's start on, one to three
 * @param lambdas λ of these levels
 * @param next λ of the level that the step ends at
 */
function singlestepTerms(
  { d0, d1, d2 }: StepCoefficients,
  answers: readonly Float64Array[],
  lambdas: readonly number[],
  next: number,
  solverType: SolverType,
): Term[] {
  const h = next - lambdas[0];
  const [start, ...others] = answers;
  const midpoint = solverType === 'midpoint';
  // Slopes from the start: (m_k − m_0) / r_k. Two levels alike give none.
  const r = others.map((_, k) => (lambdas[k + 1] - lambdas[0]) / h);
  if (others.length === 0 || r[r.length - 1] === 0) return [[d0, start]];
  let weights: number[];
  if (others.length === 1) weights = [midpoint ? d0 / 2 : d1];
  else if (midpoint) weights = [0, d1];
  else {
    // The parabola through the three: D_1 = (r_2·S_1 − r_1·S_2) / (r_2 − r_1), 2·D_2 = 2·(S_2 − S_1) / (r_2 − r_1)
    const [r1, r2] = r;
    weights = [(r2 * d1 - 2 * d2) / (r2 - r1), (2 * d2 - r1 * d1) / (r2 - r1)];
  }
  const scaled = weights.map((weight, k) => (weight === 0 ? 0 : weight / r[k]));
  const sum = scaled.reduce((a, b) => a + b, 0);
  return [[d0 - sum, start], ...others.map((m, k): Term => [scaled[k], m])];
}
