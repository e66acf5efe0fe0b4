/**
 * The process of flow matching: samples lie on the line x_σ = (1 − σ)·x_0 + σ·ε, and the network learns the velocity along
 * it, dx/dσ = ε − x_0 (Lipman et al. 2023, "Flow matching for generative modeling"; Liu et al. 2023, "Flow straight and
 * fast").
 */
import { sampleLength } from './noising.js';

/**
 * @param original x_0, N samples
 * @param noise ε, of the same shape
 * @param sigmas σ of each sample in [0, 1], [N]
 * @returns `sample` x_σ and `velocity` ε − x_0, of the same shape
 * @throws InputError when the shapes do not fit
 */
export function flowSample(
  original: Float32Array,
  noise: Float32Array,
  sigmas: ArrayLike<number>,
): { sample: Float32Array; velocity: Float32Array } {
  const size = sampleLength(original, noise, sigmas, 'level');
  const velocity = noise.map((e, i) => e - original[i]);
  const sample = original.map((x, i) => x + sigmas[Math.floor(i / size)] * velocity[i]);
  return { sample, velocity };
}
