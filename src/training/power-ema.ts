/**
 * Averages of the weights whose length grows with the training, and averages of other lengths made of them afterwards
 * (Karras et al. 2024, "Analyzing and improving the training dynamics of diffusion models", section 3 and appendix C).
 *
 * The profile of an average at step t is the power function p(s) = (γ + 1) s^γ / t^(γ + 1) for s in [0, t], its width
 * σ_rel its standard deviation as a share of t.
 */
import { Matrix, solve } from 'ml-matrix';
import { InputError } from '../errors.js';

/** An average as it was kept: of exponent `gamma`, at step `step`. */
export interface Profile {
  readonly gamma: number;
  readonly step: number;
}

/** The width at γ = 0, where all steps weigh alike: wider ones would have weights that fall again. */
export const WIDEST = 1 / Math.sqrt(12);

/** σ_rel = (γ + 1)^½ (γ + 2)^-1 (γ + 3)^-½. */
export const widthOf = (gamma: number): number => Math.sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2);

/**
 * γ of a width: the root of γ³ + 7γ² + (16 − σ⁻²)γ + 12 − σ⁻² that is not negative.
 * @param width σ_rel in (0, 0.2887]
 * @throws InputError for another width
 */
export function gammaOf(width: number): number {
  if (!(width > 0 && width <= WIDEST))
    throw new InputError(`${width} is no width — averages of weights — give one above 0, up to 0.28`);
  const square = width ** -2;
  // Newton's method from above the root, where the cubic is convex: 1/σ is, as σ < 1 / (γ + 2).
  let gamma = 1 / width;
  for (let last = Number.POSITIVE_INFINITY; gamma < last; ) {
    last = gamma;
    const value = ((gamma + 7) * gamma + 16 - square) * gamma + 12 - square;
    gamma -= value / ((3 * gamma + 14) * gamma + 16 - square);
  }
  return Math.max(0, gamma);
}

/**
 * What is left at step `to` of an average of step `from`: the product of the decays (1 − 1/t)^(γ + 1) over the steps
 * between, which is (from / to)^(γ + 1).
 */
export const decayBetween = (gamma: number, from: number, to: number): number => (from / to) ** (gamma + 1);

/** ∫ p_a p_b. */
function product(a: Profile, b: Profile): number {
  const both = a.gamma + b.gamma + 1;
  const [early, late] = a.step <= b.step ? [a, b] : [b, a];
  return (
    (((early.gamma + 1) * (late.gamma + 1)) / both / early.step) *
    (early.step / late.step) ** (late.gamma + 1)
  );
}

export interface Combination {
  /** What the averages are multiplied by; their sum is 1, so that weights which did not move are left as they are. */
  readonly multipliers: readonly number[];
  /** Distance of the profiles' sum from the one wanted, as a share of that one's length. */
  readonly error: number;
}

/** The sum of kept averages that is nearest, in least squares of the profiles, to one of another width or step. */
export function combine(kept: readonly Profile[], wanted: Profile): Combination {
  const n = kept.length;
  const scale = 1 / product(wanted, wanted);
  // One condition beside the least squares, by a Lagrange multiplier in the last row; profiles are alike, hence the SVD.
  const system = Matrix.zeros(n + 1, n + 1);
  const right = Matrix.zeros(n + 1, 1);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) system.set(i, k, product(kept[i], kept[k]) * scale);
    system.set(i, n, 1);
    system.set(n, i, 1);
    right.set(i, 0, product(kept[i], wanted) * scale);
  }
  right.set(n, 0, 1);
  const multipliers = solve(system, right, true).getColumn(0).slice(0, n);
  let square = 1;
  for (let i = 0; i < n; i++) {
    square -= 2 * multipliers[i] * right.get(i, 0);
    for (let k = 0; k < n; k++) square += multipliers[i] * multipliers[k] * system.get(i, k);
  }
  return { multipliers, error: Math.sqrt(Math.max(0, square)) };
}
