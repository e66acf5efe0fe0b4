/**
 * Guidance at some noise levels only (Kynkäänniemi et al. 2024, "Applying guidance in a limited interval improves sample
 * and distribution quality in diffusion models", eq. 6): at high noise it makes pictures alike, at low noise it does
 * nothing but cost.
 */
import { InputError } from '../errors.js';

/**
 * Noise levels σ of x_0 + σ·ε, that is √((1 − ᾱ)/ᾱ), above the first and up to the second. 0 and Infinity are the ends.
 */
export type GuidanceInterval = readonly [low: number, high: number];

/** @throws InputError unless 0 ≤ low < high */
export function checkInterval([low, high]: GuidanceInterval): void {
  if (low >= 0 && high > low) return;
  throw new InputError(
    `${low} to ${high} is no interval of noise levels — --guidance-interval — give two rising numbers from 0, such as 0.3,3`,
  );
}

/** @param alphaProd ᾱ of the level, 0 to 1 */
export function withinInterval([low, high]: GuidanceInterval, alphaProd: number): boolean {
  const sigma = Math.sqrt((1 - alphaProd) / alphaProd);
  return sigma > low && sigma <= high;
}
