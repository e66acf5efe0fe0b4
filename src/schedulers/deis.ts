/**
 * DEIS (Zhang & Chen 2023, "Fast sampling of diffusion models with exponential integrator"), log-ρ multistep of orders
 * one to three: ε as a polynomial in log ρ through the last steps, ρ = σ/α, of which the step is the exact integral
 * over ρ (eq. 14 and 15 in ρ).
 */
import { combine, type Term } from './combine.js';
import { type DEISConfig, deisConfig, parseConfig } from './config.js';
import { FEW_STEPS } from './dpmsolver.js';
import { lambdaOf } from './exponential.js';
import { LambdaScheduler } from './lambda-scheduler.js';
import type { StepOptions, StepResult } from './types.js';

/** DEIS in log-ρ (Zhang & Chen 2023), multistep, of orders one to three. */
export class DEISMultistepScheduler extends LambdaScheduler<DEISConfig> {
  /** ε at the steps before, the newest first. */
  private answers: Float64Array[] = [];

  /** @throws InputError for values that diffusers' DEISMultistepScheduler does not take, or Sumi does not support */
  constructor(config: Partial<DEISConfig> = {}) {
    super(parseConfig(deisConfig, config, 'DEISMultistepScheduler'), 'DEISMultistepScheduler');
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    const index = this.index.find(timestep);
    const { original, epsilon } = this.answer(modelOutput, sample, index, options);
    const history = this.index.follows(index) ? this.answers : [];
    this.answers = [epsilon, ...history].slice(0, this.config.solver_order);
    this.index.done(index);

    // In x/α = x_0 + ρ·ε the ODE is d(x/α) = ε dρ
    const [alpha, alphaNext] = [this.level(index).alpha, this.level(index + 1).alpha];
    const used = this.answers.slice(0, this.largestOrder(index));
    const nodes = used.map((_, k) => -lambdaOf(this.level(index - k)));
    const next = -lambdaOf(this.level(index + 1));
    const terms = used.map((m, k): Term => [alphaNext * integrateLagrange(nodes, k, next), m]);
    return {
      prevSample: combine([alphaNext / alpha, sample], ...terms),
      predOriginalSample: new Float32Array(original),
    };
  }

  /** Always the cleanest training timestep's; rules of their own for σ end there anyway, with a step that stays. */
  protected override finalSigma(sigmas: readonly number[]): number {
    return this.spacing === null && !this.flow ? this.trainSigmas[0] : sigmas[sigmas.length - 1];
  }

  private largestOrder(index: number): number {
    const { lower_order_final, solver_order } = this.config;
    const left = this.timesteps.length - index;
    return lower_order_final && this.timesteps.length < FEW_STEPS
      ? Math.min(left, solver_order)
      : solver_order;
  }
}

/**
 * ∫ ℓ_k(u) e^u du from nodes[0] to `to`, u = log ρ, ℓ_k being the polynomial that is 1 at nodes[k] and 0 at the
 * other nodes. By parts, ∫ p·e^u = (p − p' + p'' − …)·e^u.
 */
function integrateLagrange(nodes: readonly number[], k: number, to: number): number {
  // Coefficients of ℓ_k in v = u − nodes[0], the constant first: keeps numbers small.
  let polynomial = [1];
  for (const [j, node] of nodes.entries()) {
    if (j === k) continue;
    const root = node - nodes[0];
    const scale = nodes[k] - node;
    const raised = [0, ...polynomial];
    polynomial = raised.map((c, power) => (c - root * (polynomial[power] ?? 0)) / scale);
  }
  let derivative = polynomial;
  let antiderivative = polynomial.map(() => 0);
  for (let sign = 1; derivative.length > 0; sign = -sign) {
    antiderivative = antiderivative.map((c, power) => c + sign * (derivative[power] ?? 0));
    derivative = derivative.slice(1).map((c, power) => c * (power + 1));
  }
  const v = to - nodes[0];
  const value = (x: number) => antiderivative.reduceRight((sum, c) => sum * x + c, 0);
  return Math.exp(nodes[0]) * (value(v) * Math.exp(v) - value(0));
}
