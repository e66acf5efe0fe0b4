/**
 * One step of the diffusion ODE or SDE between two noise levels, in λ = log(α/σ), where the linear part is solved
 * exactly and only an integral over what the model says is left (Lu et al. 2022, "DPM-Solver", sec. 3.1, and
 * "DPM-Solver++", sec. 3 and 4). With the model's answer as a polynomial m(s) = D_0 + D_1·s + D_2·s², s running
 * from 0 to 1 over the step, that is
 *
 *   x_t = sample·x_s + d0·D_0 + d1·D_1 + d2·D_2 + noise·z
 */
import type { Term } from './combine.js';

/**
 * What is integrated: ε_θ (`dpmsolver`) or x_θ (`dpmsolver++`), along the ODE or the SDE (`sde-…`).
 */
export const ALGORITHM_TYPES = ['dpmsolver', 'dpmsolver++', 'sde-dpmsolver', 'sde-dpmsolver++'] as const;
export type AlgorithmType = (typeof ALGORITHM_TYPES)[number];

/** `midpoint` takes D_1 by its value in the middle of the step, `heun` by the exact integral. */
export type SolverType = 'midpoint' | 'heun';

/** A noise level: x = α·x_0 + σ·ε. */
export interface Level {
  alpha: number;
  sigma: number;
}

/** The level of the variance-preserving process at σ/α = `ratio`. */
export function preservingLevel(ratio: number): Level {
  const alpha = 1 / Math.sqrt(ratio ** 2 + 1);
  return { alpha, sigma: ratio * alpha };
}

export const lambdaOf = ({ alpha, sigma }: Level): number => Math.log(alpha / sigma);

export interface StepCoefficients {
  sample: number;
  d0: number;
  d1: number;
  d2: number;
  /** Of the standard normal z that the SDE adds; 0 for the ODE. */
  noise: number;
}

/** The coefficients of a step. At σ = 0 of the cleaner level only x_θ can be integrated, with D_0 alone. */
export function stepCoefficients(type: AlgorithmType, from: Level, to: Level): StepCoefficients {
  const h = lambdaOf(to) - lambdaOf(from);
  const stochastic = type.startsWith('sde-');
  if (type.endsWith('++')) {
    // e^{-h} once more for the SDE, which is as if the step were twice as long
    const length = stochastic ? 2 * h : h;
    const loss = -Math.expm1(-length);
    return {
      sample: (to.sigma / from.sigma) * (stochastic ? Math.exp(-h) : 1),
      d0: to.alpha * loss,
      d1: to.alpha * (1 - loss / length),
      d2: to.alpha * ((loss - length) / length ** 2 + 1 / 2),
      noise: stochastic ? to.sigma * Math.sqrt(loss) : 0,
    };
  }
  const growth = Math.expm1(h);
  const scale = stochastic ? -2 * to.sigma : -to.sigma;
  return {
    sample: to.alpha / from.alpha,
    d0: scale * growth,
    d1: scale * (growth / h - 1),
    d2: scale * ((growth - h) / h ** 2 - 1 / 2),
    noise: stochastic ? to.sigma * Math.sqrt(Math.expm1(2 * h)) : 0,
  };
}

/**
 * The terms of a step's integral when the model was asked at this level and at the ones of the steps before
 * (multistep). Third order has d2 as diffusers and the authors' code have it, which is half the integral of s²: so
 * the order that it reaches is two, with a smaller error.
 * @param answers m at this level, the level before, and the one before that: one to three, of which as many are used
 * @param lambdas λ of these levels
 * @param next λ of the level that the step ends at
 */
export function multistepTerms(
  { d0, d1, d2 }: StepCoefficients,
  answers: readonly Float64Array[],
  lambdas: readonly number[],
  next: number,
  solverType: SolverType,
): Term[] {
  const [m0, m1, m2] = answers;
  const h = next - lambdas[0];
  const r0 = (lambdas[0] - lambdas[1]) / h;
  const r1 = (lambdas[1] - lambdas[2]) / h;
  // Two steps at one level, which many steps can give, tell nothing about a slope.
  if (answers.length === 1 || r0 === 0 || h === 0) return [[d0, m0]];
  if (answers.length === 2 || r1 === 0) {
    const slope = (solverType === 'midpoint' ? d0 / 2 : d1) / r0;
    return [
      [d0 + slope, m0],
      [-slope, m1],
    ];
  }
  // D_1 = D_10 + r0·D_2 and D_2 = (D_10 − D_11) / (r0 + r1), D_10 and D_11 being the slopes between the answers
  const bend = (r0 * d1 + d2) / (r0 + r1);
  const [w0, w1] = [(d1 + bend) / r0, -bend / r1];
  return [
    [d0 + w0, m0],
    [w1 - w0, m1],
    [-w1, m2],
  ];
}
