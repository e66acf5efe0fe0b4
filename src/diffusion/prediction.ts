/**
 * What a network predicts, and how to turn one prediction into another. With a = sqrt(ᾱ_t) and s = sqrt(1-ᾱ_t),
 *
 *   x_t = a·x_0 + s·ε     (Ho et al. 2020, eq. 4)
 *   v   = a·ε − s·x_0     (Salimans & Ho 2022, sec. 4 and appendix D)
 *
 * so x_0, ε and v are linear in each other once x_t is known.
 */
import { InputError } from '../errors.js';

export const PREDICTION_TYPES = ['epsilon', 'sample', 'v_prediction'] as const;

/** What models of a flow predict, ε − x_0 where x = (1 − σ)·x_0 + σ·ε. They are not of DDPM's process: no conversions. */
export const FLOW_PREDICTION = 'flow_prediction';

/** `epsilon`: the noise ε; `sample`: the clean picture x_0; `v_prediction`: the velocity v. */
export type DiffusionPrediction = (typeof PREDICTION_TYPES)[number];
export type PredictionType = DiffusionPrediction | typeof FLOW_PREDICTION;

/** A conversion as a linear combination: result = output·prediction + sample·x_t. */
export interface ConversionCoefficients {
  output: number;
  sample: number;
}

/**
 * How a prediction of one kind becomes one of another kind.
 * @param alphaProd ᾱ_t in [0, 1]
 * @throws InputError when the prediction does not determine the result: ε at ᾱ = 0, or x_0 at ᾱ = 1
 */
export function conversionCoefficients(
  from: PredictionType,
  to: PredictionType,
  alphaProd: number,
): ConversionCoefficients {
  const a = Math.sqrt(alphaProd);
  const s = Math.sqrt(1 - alphaProd);
  if (from === to) return { output: 1, sample: 0 };
  if (from === 'epsilon' && a === 0)
    throw new InputError(
      'an epsilon prediction says nothing about the picture at zero signal-to-noise — scheduler step — use v_prediction or sample with rescale_betas_zero_snr',
    );
  if (from === 'sample' && s === 0)
    throw new InputError(
      'a sample prediction says nothing about the noise where there is none — scheduler step — use betas above 0',
    );
  switch (`${from} > ${to}`) {
    case 'epsilon > sample': // x_0 = (x_t − s·ε) / a
      return { output: -s / a, sample: 1 / a };
    case 'epsilon > v_prediction': // v = (ε − s·x_t) / a, as a² + s² = 1
      return { output: 1 / a, sample: -s / a };
    case 'sample > epsilon': // ε = (x_t − a·x_0) / s
      return { output: -a / s, sample: 1 / s };
    case 'sample > v_prediction': // v = (a·x_t − x_0) / s
      return { output: -1 / s, sample: a / s };
    case 'v_prediction > sample': // x_0 = a·x_t − s·v
      return { output: -s, sample: a };
    case 'v_prediction > epsilon': // ε = a·v + s·x_t
      return { output: a, sample: s };
    default:
      throw new InputError(
        `prediction type '${from}' or '${to}' is unknown — scheduler config — use one of ${PREDICTION_TYPES.join(', ')}`,
      );
  }
}

/**
 * Converts a network's prediction at one timestep.
 * @param output the prediction, of kind `from`, any shape
 * @param sample x_t, of the same shape
 * @param alphaProd ᾱ_t
 * @returns the prediction of kind `to` (a new array)
 * @throws InputError as `conversionCoefficients` does, and when the lengths differ
 */
export function convertPrediction(
  output: Float32Array,
  sample: Float32Array,
  alphaProd: number,
  from: PredictionType,
  to: PredictionType,
): Float32Array {
  if (output.length !== sample.length)
    throw new InputError(
      `prediction of ${output.length} values for a sample of ${sample.length} — convertPrediction — give equal shapes`,
    );
  const c = conversionCoefficients(from, to, alphaProd);
  const out = new Float32Array(output.length);
  for (let i = 0; i < out.length; i++) out[i] = c.output * output[i] + c.sample * sample[i];
  return out;
}
