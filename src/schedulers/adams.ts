/** Adams–Bashforth for equal steps: a slope out of the last ones. */
import { combine64, type Term } from './combine.js';

/** Weights of the newest slope and the ones before, by how many there are. */
const WEIGHTS = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
] as const;

/** Slopes that are worth keeping. */
export const ADAMS_ORDER = WEIGHTS.length;

/** @param slopes one to four, the newest first */
export function adamsBashforth(slopes: readonly (Float32Array | Float64Array)[]): Float64Array {
  const weights = WEIGHTS[slopes.length - 1];
  return combine64(...slopes.map((slope, k): Term => [weights[k], slope]));
}
