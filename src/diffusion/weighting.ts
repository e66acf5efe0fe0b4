import { InputError } from '../errors.js';
import { snr } from './noising.js';
import type { DiffusionPrediction } from './prediction.js';

/**
 * Weight of each sample's squared error in the loss. Without `snrGamma` all are 1 (Ho et al. 2020, eq. 14).
 * With it, Min-SNR-γ (Hang et al. 2023, "Efficient diffusion training via min-SNR weighting strategy", sec. 3.4):
 * min(SNR, γ) on the error of x_0, which is min(SNR, γ)/SNR on that of ε and min(SNR, γ)/(SNR + 1) on that of v.
 * @param alphaProds ᾱ_t of each sample, [N]
 * @param snrGamma γ > 0 (5 in the paper), or null for uniform weights
 * @returns [N]
 * @throws InputError when γ is not a positive number
 */
export function lossWeights(
  alphaProds: ArrayLike<number>,
  predictionType: DiffusionPrediction,
  snrGamma: number | null = null,
): Float32Array {
  if (snrGamma === null) return new Float32Array(alphaProds.length).fill(1);
  if (!(snrGamma > 0 && Number.isFinite(snrGamma)))
    throw new InputError(`snr_gamma is ${snrGamma} — loss weighting — give a number above 0, or null`);
  return Float32Array.from(alphaProds, (alphaProd) => {
    const ratio = snr(alphaProd);
    switch (predictionType) {
      case 'epsilon':
        return Math.min(1, snrGamma / ratio); // = min(SNR, γ)/SNR, and its limit 1 at SNR 0
      case 'sample':
        return Math.min(ratio, snrGamma);
      case 'v_prediction':
        return Math.min(ratio, snrGamma) / (ratio + 1);
    }
  });
}
