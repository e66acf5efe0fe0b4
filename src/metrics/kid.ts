/** Kernel Inception Distance (Bińkowski et al., "Demystifying MMD GANs", ICLR 2018), with an interval. */
import type { Matrix } from './extractor.js';
import { dots } from './rows.js';

/** An estimate with its standard error and 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
  readonly low: number;
  readonly high: number;
}

export function estimate(value: number, standardError: number): Estimate {
  return { value, standardError, low: value - 1.96 * standardError, high: value + 1.96 * standardError };
}

interface Sums {
  /** Sum of each row of the kernel matrix. */
  readonly rows: Float64Array;
  readonly columns: Float64Array;
  readonly total: number;
}

/** k(x, y) = (x·y / d + 1)³ of row i with the rows of the other set from `from` on, into `out`. */
function kernels(a: Matrix, i: number, b: Matrix, out: Float64Array, from: number): void {
  dots(a, i, b, out, from);
  for (let j = from; j < b.rows; j++) out[j] = (out[j] / a.columns + 1) ** 3;
}

/** Sums of k over all pairs of two sets. */
function crossSums(a: Matrix, b: Matrix): Sums {
  const rows = new Float64Array(a.rows);
  const columns = new Float64Array(b.rows);
  const row = new Float64Array(b.rows);
  for (let i = 0; i < a.rows; i++) {
    kernels(a, i, b, row, 0);
    for (let j = 0; j < b.rows; j++) {
      rows[i] += row[j];
      columns[j] += row[j];
    }
  }
  return { rows, columns, total: sum(rows) };
}

/** Sums of k over all pairs of different rows of a set, both ways round. */
function ownSums(set: Matrix): Sums {
  const rows = new Float64Array(set.rows);
  const row = new Float64Array(set.rows);
  for (let i = 0; i < set.rows; i++) {
    kernels(set, i, set, row, i + 1);
    for (let j = i + 1; j < set.rows; j++) {
      rows[i] += row[j];
      rows[j] += row[j];
    }
  }
  return { rows, columns: rows, total: sum(rows) };
}

const sum = (values: Float64Array): number => values.reduce((total, v) => total + v, 0);

/**
 * Squared maximum mean discrepancy of two sets of features under the cubic polynomial kernel, by the unbiased estimator
 * (Gretton et al. 2012, eq. 3): near 0, and below it as often as above, when the sets are from one distribution. The
 * standard error is the two-sample jackknife's, every picture left out once (Efron & Stein 1981): drawing with
 * replacement would put equal pictures into an estimator that is unbiased only without them.
 * @param a features [n, d], n ≥ 3
 * @param b features [m, d], m ≥ 3
 */
export function kernelDistance(a: Matrix, b: Matrix): Estimate {
  const [aa, bb, ab] = [ownSums(a), ownSums(b), crossSums(a, b)];
  const [n, m] = [a.rows, b.rows];
  const within = ({ total }: Sums, count: number) => total / (count * (count - 1));
  const value = within(aa, n) + within(bb, m) - (2 * ab.total) / (n * m);
  const without = (own: Sums, cross: Float64Array, count: number, other: Sums, others: number) =>
    Float64Array.from(cross, (c, i) => {
      const kept = (own.total - 2 * own.rows[i]) / ((count - 1) * (count - 2));
      return kept + within(other, others) - (2 * (ab.total - c)) / ((count - 1) * others);
    });
  const variance = jackknife(without(aa, ab.rows, n, bb, m)) + jackknife(without(bb, ab.columns, m, aa, n));
  return estimate(value, Math.sqrt(variance));
}

function jackknife(values: Float64Array): number {
  const n = values.length;
  const mean = sum(values) / n;
  return ((n - 1) / n) * sum(values.map((v) => (v - mean) ** 2));
}
