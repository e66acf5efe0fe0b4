/** Guidance without its contrast (Lin et al. 2023, "Common diffusion noise schedules and sample steps are flawed"). */
import { InputError } from '../errors.js';

/** @throws InputError for a factor outside 0 to 1 */
export function checkRescale(factor: number): void {
  if (factor >= 0 && factor <= 1) return;
  throw new InputError(`${factor} is not possible — --guidance-rescale — give a number from 0 to 1`);
}

/**
 * Gives a guided prediction the standard deviation of the conditional one (eq. 15), as far as the factor says (eq. 16):
 * guidance makes predictions, and so pictures, too strong.
 * @param guided one picture's prediction under guidance, any shape
 * @param conditional the one with label or text alone, of the same shape
 * @param factor φ: 0 leaves the guided prediction, 1 has all of the other's deviation; the paper takes 0.7
 */
export function rescaleGuidance(
  guided: Float32Array,
  conditional: Float32Array,
  factor: number,
): Float32Array {
  const spread = deviation(guided);
  // Nothing can be made as wide as something out of what has no width.
  if (spread === 0) return guided;
  const scale = factor * (deviation(conditional) / spread) + (1 - factor);
  return guided.map((x) => x * scale);
}

/** Standard deviation; by n or n − 1, their ratio is the same. */
function deviation(values: Float32Array): number {
  let sum = 0;
  for (const x of values) sum += x;
  const mean = sum / values.length;
  let squares = 0;
  for (const x of values) squares += (x - mean) ** 2;
  return Math.sqrt(squares / values.length);
}
