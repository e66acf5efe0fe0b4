/**
 * The process of EDM (Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", table 1, last
 * column): samples are x_0 + σ·ε, and the denoiser is D(x; σ) = c_skip·x + c_out·F(c_in·x; c_noise), F the network.
 */
import { sampleLength } from './noising.js';

/** What the network of an EDM model predicts, F. Such models are not of DDPM's process: no conversions. */
export const EDM_PREDICTION = 'edm_prediction';

/**
 * @param original x_0, N samples
 * @param noise ε, of the same shape
 * @param sigmas σ of each sample, above 0, [N]
 * @param sigmaData standard deviation of the data
 * @returns `sample` c_in·x as the network sees it, `target` the F for which D is x_0 (eq. 8; its squared error counts the same
 * at every σ), of the same shape, and `timesteps` c_noise = ln(σ)/4, [N]
 * @throws InputError when the shapes do not fit
 */
export function edmSample(
  original: Float32Array,
  noise: Float32Array,
  sigmas: ArrayLike<number>,
  sigmaData: number,
): { sample: Float32Array; target: Float32Array; timesteps: Float32Array } {
  const size = sampleLength(original, noise, sigmas, 'level');
  const sample = new Float32Array(original.length);
  const target = new Float32Array(original.length);
  for (let i = 0; i < original.length; i++) {
    const sigma = sigmas[Math.floor(i / size)];
    const norm = Math.hypot(sigma, sigmaData);
    const x = original[i] + sigma * noise[i];
    sample[i] = x / norm;
    target[i] = (original[i] - (sigmaData / norm) ** 2 * x) / ((sigma * sigmaData) / norm);
  }
  return { sample, target, timesteps: Float32Array.from(sigmas, (sigma) => Math.log(sigma) / 4) };
}
