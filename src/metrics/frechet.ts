/** Fréchet Inception Distance (Heusel et al., NeurIPS 2017), and what it would be with endless pictures. */
import { Matrix as Dense, EigenvalueDecomposition } from 'ml-matrix';
import type { Random } from '../random.js';
import type { Matrix } from './extractor.js';
import { type Estimate, estimate } from './kid.js';
import { takeRows } from './rows.js';

interface Moments {
  readonly mean: Float64Array;
  /** [n, d], less the mean and over √(n − 1): their Gram matrix is the covariance. */
  readonly centred: Dense;
}

function momentsOf({ rows, columns, data }: Matrix): Moments {
  const mean = new Float64Array(columns);
  for (let i = 0; i < data.length; i++) mean[i % columns] += data[i] / rows;
  const scale = 1 / Math.sqrt(rows - 1);
  const centred = new Dense(rows, columns);
  for (let i = 0; i < rows; i++)
    for (let c = 0; c < columns; c++) centred.set(i, c, (data[i * columns + c] - mean[c]) * scale);
  return { mean, centred };
}

const covarianceOf = ({ centred }: Moments): Dense => centred.transpose().mmul(centred);

const symmetric = (matrix: Dense) => new EigenvalueDecomposition(matrix, { assumeSymmetric: true });

/** Rounding makes eigenvalues of a rank that is not there a little negative. */
const root = (x: number) => Math.sqrt(Math.max(0, x));

/** The reference set's side of the distance, worked out once for many sets. */
export class Frechet {
  private readonly mean: Float64Array;
  private readonly covariance: Dense;
  private squareRoot: Dense | undefined;

  /** @param reference features [m, d], m ≥ 2 */
  constructor(reference: Matrix) {
    const moments = momentsOf(reference);
    this.mean = moments.mean;
    this.covariance = covarianceOf(moments);
  }

  /**
   * |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), covariances by n − 1.
   * @param set features [n, d], n ≥ 2
   */
  distance(set: Matrix): number {
    const moments = momentsOf(set);
    const roots = symmetric(this.product(moments)).realEigenvalues.reduce((sum, x) => sum + root(x), 0);
    const means = this.mean.reduce((sum, x, i) => sum + (x - moments.mean[i]) ** 2, 0);
    const trace = moments.centred.dot(moments.centred);
    return means + this.covariance.trace() + trace - 2 * roots;
  }

  /**
   * A symmetric matrix with the eigenvalues of Σ₁ Σ₂, whose roots' sum is the trace of its root: C Σ₁ Cᵀ of the
   * centred rows, whose Gram matrix is Σ₂, or Σ₁^½ Σ₂ Σ₁^½, whichever is smaller.
   */
  private product(moments: Moments): Dense {
    const { centred } = moments;
    if (centred.rows < centred.columns) return centred.mmul(this.covariance).mmul(centred.transpose());
    this.squareRoot ??= rootOf(this.covariance);
    return this.squareRoot.mmul(covarianceOf(moments)).mmul(this.squareRoot);
  }
}

function rootOf(covariance: Dense): Dense {
  const { realEigenvalues, eigenvectorMatrix: v } = symmetric(covariance);
  return v.clone().mulRowVector(realEigenvalues.map(root)).mmul(v.transpose());
}

/** How many sample sizes the line is drawn through. */
const SIZES = 10;

/**
 * FID∞ (Chong & Forsyth, "Effectively unbiased FID and Inception Score", CVPR 2020): FID falls about linearly with
 * 1/n as n pictures grow, so that a line through FIDs of subsets meets 1/n = 0 where endless pictures would be. The
 * standard error is that of the line's intercept: it knows how well the points lie on a line, not whether the line is
 * one. Subsets are from n/3 to n: smaller ones leave the range where the law is linear.
 */
export function extrapolatedDistance(frechet: Frechet, set: Matrix, random: Random): Estimate {
  const sizes = Array.from({ length: SIZES }, (_, i) =>
    Math.round((set.rows / 3) * (1 + (2 * i) / (SIZES - 1))),
  );
  const points = sizes.map((size, i) => {
    const rows = random.fork('subset', i).permutation(set.rows).subarray(0, size);
    return [1 / size, frechet.distance(takeRows(set, [...rows]))] as const;
  });
  return intercept(points);
}

function intercept(points: readonly (readonly [x: number, y: number])[]): Estimate {
  const n = points.length;
  const mean = (k: 0 | 1) => points.reduce((sum, p) => sum + p[k], 0) / n;
  const [mx, my] = [mean(0), mean(1)];
  const sxx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
  const value = my - slope * mx;
  const residual = points.reduce((sum, [x, y]) => sum + (y - value - slope * x) ** 2, 0) / (n - 2);
  return estimate(value, Math.sqrt(residual * (1 / n + mx ** 2 / sxx)));
}

/** FID of two sets. */
export function frechetDistance(a: Matrix, b: Matrix): number {
  return new Frechet(b).distance(a);
}
