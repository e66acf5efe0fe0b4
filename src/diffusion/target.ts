import { velocity } from './noising.js';
import type { DiffusionPrediction } from './prediction.js';

/**
 * What the network should answer for x_t made of `original` and `noise`: ε, x_0 or v by its prediction type.
 * @param original x_0, N samples
 * @param noise ε, of the same shape
 * @param alphaProd ᾱ_t: one for all samples or one for each [N]
 * @returns an array of the same shape; for `epsilon` and `sample` it is the very array passed in
 * @throws InputError when the shapes do not fit
 */
export function trainingTarget(
  predictionType: DiffusionPrediction,
  original: Float32Array,
  noise: Float32Array,
  alphaProd: number | ArrayLike<number>,
): Float32Array {
  switch (predictionType) {
    case 'epsilon':
      return noise;
    case 'sample':
      return original;
    case 'v_prediction':
      return velocity(original, noise, alphaProd);
  }
}
