/** Whether a model repeats the pictures it was trained on. */
import type { Matrix } from './extractor.js';
import { distances } from './rows.js';

/** The nearest row of the other set for each row of one. */
export interface Nearest {
  readonly index: Int32Array;
  readonly distance: Float64Array;
}

/**
 * @param self of row i, the row of `others` that is the same picture and does not count
 */
export function nearest(set: Matrix, others: Matrix, self?: (i: number) => number): Nearest {
  const row = new Float64Array(others.rows);
  const index = new Int32Array(set.rows);
  const distance = new Float64Array(set.rows);
  for (let i = 0; i < set.rows; i++) {
    distances(set, i, others, row);
    if (self) row[self(i)] = Number.POSITIVE_INFINITY;
    let best = 0;
    for (let j = 1; j < others.rows; j++) if (row[j] < row[best]) best = j;
    index[i] = best;
    distance[i] = row[best];
  }
  return { index, distance };
}

/** A sorted list's value below which a share of it lies, between neighbours by a line. */
export function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** Of the real pictures in a comparison, the share that is allowed to be as near as a suspicious one; one at least. */
const SUSPICIOUS_SHARE = 0.01;

export interface Suspicion {
  /** Real pictures in the comparison. */
  readonly compared: number;
  /** How many of them are as near to another as a suspicious picture may be: one in a hundred, one at least. */
  readonly allowed: number;
  /** Distance of the last of those; what is nearer is suspicious. */
  readonly threshold: number;
  /** Generated pictures nearer than that. */
  readonly suspicious: number;
  /** How many there would be if the generated pictures were new real ones. */
  readonly expected: number;
  /** Probability of so many or more, if they were. */
  readonly probability: number;
  /** Whether there are more than chance explains (probability below 0.001). */
  readonly memorises: boolean;
}

/**
 * Compares the distances of generated pictures from the training pictures with those of real pictures that the model
 * never saw (or, of training pictures from each other).
 * @param generated nearest distances
 * @param real nearest distances, for comparison
 */
export function suspicion(generated: Float64Array, real: Float64Array): Suspicion {
  const compared = real.length;
  const allowed = Math.max(1, Math.floor(SUSPICIOUS_SHARE * compared));
  const threshold = real.slice().sort()[allowed - 1];
  const suspicious = generated.filter((d) => d < threshold).length;
  const probability = precedenceTail(generated.length, compared, allowed, suspicious);
  return {
    compared,
    allowed,
    threshold,
    suspicious,
    expected: (generated.length * allowed) / (compared + 1),
    probability,
    memorises: probability < 0.001,
  };
}

/**
 * P(X ≥ k), where X of n numbers are below the r-th smallest of m others from the same distribution: the precedence
 * test's negative hypergeometric law, P(X = x) = C(x + r − 1, x) C(n − x + m − r, n − x) / C(n + m, n). Unlike a binomial
 * law with the share r/m it knows that a threshold from few pictures is itself uncertain.
 */
export function precedenceTail(n: number, m: number, r: number, k: number): number {
  // By logarithms: of many trials, the probability of none succeeding is too small for a number.
  let [term, tail] = [0, 0];
  for (let i = 0; i < r; i++) term += Math.log((m - i) / (n + m - i));
  for (let x = 0; x <= n; x++) {
    if (x >= k) tail += Math.exp(term);
    if (x < n) term += Math.log((((x + r) / (x + 1)) * (n - x)) / (n - x + m - r));
  }
  return Math.min(1, tail);
}
