/**
 * UniPC (Zhao et al. 2023, "UniPC: a unified predictor-corrector framework for fast sampling of diffusion models"),
 * multistep, of orders one to three. The corrector improves each sample with what the model says there, so it costs no
 * call and raises the order by one.
 */

import { InputError } from '../errors.js';
import { combine, type Term } from './combine.js';
import { parseConfig, type UniPCConfig, uniPCConfig } from './config.js';
import { lambdaOf, stepCoefficients } from './exponential.js';
import { shiftSigma } from './flow-sigmas.js';
import { LambdaScheduler } from './lambda-scheduler.js';
import type { StepOptions, StepResult } from './types.js';

const NAME = 'UniPCMultistepScheduler';

/** How far the first level of a flow stays from noise alone. */
const NEARLY = 1e-6;

/** UniPC (Zhao et al. 2023), multistep predictor and corrector, of orders one to three and one more. */
export class UniPCMultistepScheduler extends LambdaScheduler<UniPCConfig> {
  /** x_θ (or ε_θ) at the steps before, the newest first. */
  private answers: Float64Array[] = [];
  /** Where the last step began, after correction, and its order. */
  private last: { sample: Float32Array; order: number } | null = null;

  /** @throws InputError for values that diffusers' UniPCMultistepScheduler does not take, or Sumi does not support */
  constructor(config: Partial<UniPCConfig> = {}) {
    super(parseConfig(uniPCConfig, config, NAME), NAME);
    const { final_sigmas_type, predict_x0, lower_order_final, solver_order } = this.config;
    if (final_sigmas_type === 'zero' && !(predict_x0 && (lower_order_final || solver_order === 1)))
      throw new InputError(
        `final_sigmas_type zero needs predict_x0 and lower_order_final — ${NAME} config — set it to sigma_min`,
      );
  }

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    const { predict_x0, solver_order, lower_order_final, disable_corrector } = this.config;
    const index = this.index.find(timestep);
    const { original, epsilon } = this.answer(modelOutput, sample, index, options);
    const answer = predict_x0 ? original : epsilon;
    const follows = this.index.follows(index);
    const history = follows ? this.answers : [];

    let corrected = sample;
    if (follows && this.last && !disable_corrector.includes(index - 1)) {
      const { sample: from, order } = this.last;
      corrected = this.update(from, history, index - 1, order, answer);
    }
    this.answers = [answer, ...history].slice(0, solver_order);
    const left = lower_order_final ? this.timesteps.length - index : solver_order;
    const order = Math.min(solver_order, left, this.answers.length);
    this.last = { sample: corrected.slice(), order };
    this.index.done(index);
    return {
      prevSample: this.update(corrected, this.answers, index, order, null),
      predOriginalSample: new Float32Array(original),
    };
  }

  /** Evenly from 1 down, by diffusers' rule for this solver; not 1 itself, where there is no λ. */
  protected override flowSigmas(steps: number): number[] {
    const { num_train_timesteps: T, flow_shift } = this.config;
    const even = Array.from({ length: steps }, (_, i) => 1 + i * ((1 / T - 1) / steps));
    const shifted = even.map((sigma) => shiftSigma(sigma, flow_shift));
    return shifted.map((sigma, i) => (i === 0 && Math.abs(sigma - 1) < NEARLY ? sigma - NEARLY : sigma));
  }

  /** With rules of their own for σ, `sigma_min` is the last of these. */
  protected override finalSigma(sigmas: readonly number[]): number {
    if (this.config.final_sigmas_type === 'zero') return 0;
    return this.spacing === null && !this.flow ? this.trainSigmas[0] : sigmas[sigmas.length - 1];
  }

  /**
   * From the level of step `index` to the next one: UniP (eq. 8), or UniC (eq. 3) when the answer there is known. In
   * both, x = linear part + first-order part − σ_t·B(h)·Σ ρ_k·(m_k − m_0)/r_k, for ε; for x_θ, α_t and −h stand in.
   * @param answers m at step `index` and at the ones before it
   * @param arrived m at the end of the step, for the corrector
   */
  private update(
    sample: Float32Array,
    answers: readonly Float64Array[],
    index: number,
    order: number,
    arrived: Float64Array | null,
  ): Float32Array {
    const { predict_x0, solver_type } = this.config;
    const [from, to] = [this.level(index), this.level(index + 1)];
    const first = stepCoefficients(predict_x0 ? 'dpmsolver++' : 'dpmsolver', from, to);
    const linear: Term = [first.sample, sample];
    if (order === 1 && !arrived) return combine(linear, [first.d0, answers[0]]);

    const lambda = lambdaOf(from);
    const h = lambdaOf(to) - lambda;
    const signed = predict_x0 ? -h : h;
    const scale = solver_type === 'bh1' ? signed : Math.expm1(signed); // B(h)
    const others = answers.slice(1, order);
    const ratios = others.map((_, k) => (lambdaOf(this.level(index - k - 1)) - lambda) / h);
    const points = arrived ? [...ratios, 1] : ratios;
    const values = arrived ? [...others, arrived] : others;
    const weights = weightsOf(points, signed, scale).map((weight) => {
      return -(predict_x0 ? to.alpha : to.sigma) * scale * weight;
    });
    const slopes = weights.map((weight, k) => weight / points[k]);
    const sum = slopes.reduce((a, b) => a + b, 0);
    return combine(linear, [first.d0 - sum, answers[0]], ...values.map((m, k): Term => [slopes[k], m]));
  }
}

/**
 * ρ with R·ρ = φ (eq. 5): R holds the powers 0 to n - 1 of the points, φ_i = i!·h·ϕ_{i+1}(h) / B(h). A single point
 * has the simpler 1/2, which keeps the order (sec. 3.4).
 */
function weightsOf(points: readonly number[], h: number, scale: number): number[] {
  if (points.length === 1) return [1 / 2];
  const right: number[] = [];
  let phi = Math.expm1(h) / h - 1; // h·ϕ_2(h)
  let factorial = 1;
  for (let i = 1; i <= points.length; i++) {
    right.push((phi * factorial) / scale);
    factorial *= i + 1;
    phi = phi / h - 1 / factorial;
  }
  return solve(
    right.map((_, i) => points.map((r) => r ** i)),
    right,
  );
}

/** Solves a small system of linear equations by Gaussian elimination with pivoting. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  const n = rows.length;
  for (let k = 0; k < n; k++) {
    const pivot = rows
      .slice(k)
      .reduce((best, row, i) => (Math.abs(row[k]) > Math.abs(rows[best][k]) ? k + i : best), k);
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    for (let i = k + 1; i < n; i++) {
      const factor = rows[i][k] / rows[k][k];
      rows[i] = rows[i].map((value, j) => value - factor * rows[k][j]);
    }
  }
  const solution = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    const known = solution.reduce((sum, x, j) => sum + (j > i ? rows[i][j] * x : 0), 0);
    solution[i] = (rows[i][n] - known) / rows[i][i];
  }
  return solution;
}
