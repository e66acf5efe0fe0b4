/**
 * What a student learns: to land with one step of DDIM where its teacher lands with several (Salimans & Ho 2022,
 * "Progressive distillation for fast sampling of diffusion models", appendix G), for any kind of prediction.
 */
import {
  type ConversionCoefficients,
  conversionCoefficients,
  type PredictionType,
} from '../diffusion/index.js';

/**
 * DDIM's step (Song et al. 2021, eq. 12, without noise) as a linear function of the network's prediction:
 * x_s = output·prediction + sample·x_t.
 * @param alphaProd ᾱ_t of the level that the step begins at
 * @param alphaProdNext ᾱ_s of the level that it ends at, above ᾱ_t; 1 is the clean picture
 * @throws InputError for a prediction that says nothing at this level (ε at ᾱ = 0)
 */
export function landing(
  predictionType: PredictionType,
  alphaProd: number,
  alphaProdNext: number,
): ConversionCoefficients {
  const original = conversionCoefficients(predictionType, 'sample', alphaProd);
  const epsilon = conversionCoefficients(predictionType, 'epsilon', alphaProd);
  const [signal, noise] = [Math.sqrt(alphaProdNext), Math.sqrt(1 - alphaProdNext)];
  return {
    output: signal * original.output + noise * epsilon.output,
    sample: signal * original.sample + noise * epsilon.sample,
  };
}

/**
 * The prediction at x_t whose step of DDIM lands at x_s.
 * @param sample x_t, any shape
 * @param reached x_s, of the same shape
 * @param step of `landing`
 */
export function targetFor(
  sample: Float32Array,
  reached: Float32Array,
  step: ConversionCoefficients,
): Float32Array {
  return reached.map((value, i) => (value - step.sample * sample[i]) / step.output);
}
