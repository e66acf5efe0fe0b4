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

/** The share of real pictures that are allowed to be as near to a training picture as a suspicious one. */
export const SUSPICIOUS_SHARE = 0.01;

export interface Suspicion {
  /** Distance below which a pair is suspicious: one real picture in a hundred is as near to another. */
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
  const threshold = quantile(Float64Array.from(real).sort(), SUSPICIOUS_SHARE);
  const suspicious = generated.filter((d) => d < threshold).length;
  const probability = binomialTail(generated.length, SUSPICIOUS_SHARE, suspicious);
  return {
    threshold,
    suspicious,
    expected: generated.length * SUSPICIOUS_SHARE,
    probability,
    memorises: probability < 0.001,
  };
}

/** P(X ≥ k) for X of n trials that each succeed with probability p. */
export function binomialTail(n: number, p: number, k: number): number {
  // By logarithms: of many trials, the probability of none succeeding is too small for a number.
  let [term, below] = [n * Math.log1p(-p), 0];
  for (let i = 0; i < k; i++) {
    below += Math.exp(term);
    term += Math.log(((n - i) / (i + 1)) * (p / (1 - p)));
  }
  return Math.max(0, 1 - below);
}
