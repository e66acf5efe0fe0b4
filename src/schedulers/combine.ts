import { InputError } from '../errors.js';
import type { StepOptions } from './types.js';

export type Term = [coefficient: number, values: Float32Array | Float64Array];

/** Σ coefficient·array: every scheduler's step is made of these. Sums are float64, rounded once at the end. */
export function combine(...terms: Term[]): Float32Array {
  return new Float32Array(combine64(...terms));
}

/** The same without rounding, for what is added up later: slopes times a large σ would show the rounding. */
export function combine64(...terms: Term[]): Float64Array {
  const sum = new Float64Array(terms[0][1].length);
  for (const [coefficient, values] of terms)
    for (let i = 0; i < sum.length; i++) sum[i] += coefficient * values[i];
  return sum;
}

/** @throws InputError when a model's output does not have the sample's size */
export function checkSameSize(modelOutput: Float32Array, sample: Float32Array): void {
  if (modelOutput.length !== sample.length)
    throw new InputError(
      `model output of ${modelOutput.length} values for a sample of ${sample.length} — scheduler step — give equal shapes`,
    );
}

/**
 * Asks the caller for this step's noise.
 * @throws InputError when there is no noise function or it gives another size
 */
export function drawNoise(options: StepOptions, sample: Float32Array): Float32Array {
  if (!options.noise)
    throw new InputError('this step needs noise — scheduler step — pass options.noise, a function');
  const noise = options.noise();
  if (noise.length !== sample.length)
    throw new InputError(
      `noise of ${noise.length} values for a sample of ${sample.length} — scheduler step — give equal shapes`,
    );
  return noise;
}
