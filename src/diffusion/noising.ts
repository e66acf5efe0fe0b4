/**
 * The forward process q(x_t | x_0) = N(sqrt(ᾱ_t)·x_0, (1-ᾱ_t)·I) (Ho et al. 2020, eq. 4). Coefficients are
 * float64, data Float32; a batch is N samples of equal size one after another, whatever their shape.
 */
import { InputError } from '../errors.js';

/**
 * ᾱ_t = Π (1 - β_s) for s ≤ t.
 * @param betas [T]
 * @returns [T], falling
 */
export function cumulativeAlphas(betas: Float64Array): Float64Array {
  let product = 1;
  return betas.map((beta) => {
    product *= 1 - beta;
    return product;
  });
}

/**
 * ᾱ_t of each sample's timestep.
 * @param alphasCumprod [T]
 * @param timesteps [N], integers in [0, T)
 * @throws InputError for a timestep outside the schedule
 */
export function alphaProdsAt(alphasCumprod: Float64Array, timesteps: ArrayLike<number>): Float64Array {
  return Float64Array.from(timesteps, (t) => {
    if (Number.isInteger(t) && t >= 0 && t < alphasCumprod.length) return alphasCumprod[t];
    throw new InputError(
      `timestep ${t} is outside the schedule — noising — give an integer from 0 to ${alphasCumprod.length - 1}`,
    );
  });
}

/** Per-sample coefficients of the forward process, as a training graph takes them. */
export interface NoiseCoefficients {
  /** sqrt(ᾱ_t), [N] */
  sqrtAlphaProd: Float32Array;
  /** sqrt(1 - ᾱ_t), [N] */
  sqrtOneMinusAlphaProd: Float32Array;
}

/**
 * @param alphasCumprod [T]
 * @param timesteps [N], integers in [0, T)
 * @throws InputError for a timestep outside the schedule
 */
export function noiseCoefficients(
  alphasCumprod: Float64Array,
  timesteps: ArrayLike<number>,
): NoiseCoefficients {
  const alphaProds = alphaProdsAt(alphasCumprod, timesteps);
  return {
    sqrtAlphaProd: Float32Array.from(alphaProds, Math.sqrt),
    sqrtOneMinusAlphaProd: Float32Array.from(alphaProds, (alphaProd) => Math.sqrt(1 - alphaProd)),
  };
}

/**
 * x_t = sqrt(ᾱ)·x_0 + sqrt(1-ᾱ)·ε (Ho et al. 2020, eq. 4).
 * @param original x_0, N samples
 * @param noise ε, of the same shape
 * @param alphaProd ᾱ_t: one for all samples or one for each [N]
 * @throws InputError when the shapes do not fit
 */
export function addNoise(
  original: Float32Array,
  noise: Float32Array,
  alphaProd: number | ArrayLike<number>,
): Float32Array {
  return mix(original, noise, alphaProd, (a, s, x0, e) => a * x0 + s * e);
}

/**
 * v = sqrt(ᾱ)·ε − sqrt(1-ᾱ)·x_0 (Salimans & Ho 2022, appendix D).
 * @param original x_0, N samples
 * @param noise ε, of the same shape
 * @param alphaProd ᾱ_t: one for all samples or one for each [N]
 * @throws InputError when the shapes do not fit
 */
export function velocity(
  original: Float32Array,
  noise: Float32Array,
  alphaProd: number | ArrayLike<number>,
): Float32Array {
  return mix(original, noise, alphaProd, (a, s, x0, e) => a * e - s * x0);
}

/** Signal-to-noise ratio ᾱ / (1 - ᾱ) (Kingma et al. 2021, eq. 2): 0 at pure noise. */
export function snr(alphaProd: number): number {
  return alphaProd / (1 - alphaProd);
}

/**
 * Values of each sample.
 * @param levels one of each sample: `what` they are, for messages
 * @throws InputError when the shapes do not fit
 */
export function sampleLength(
  original: Float32Array,
  noise: Float32Array,
  levels: ArrayLike<number>,
  what: 'timestep' | 'level',
): number {
  const length = original.length / levels.length;
  if (noise.length === original.length && Number.isInteger(length)) return length;
  throw new InputError(
    `${original.length} values, ${noise.length} of noise and ${levels.length} ${what}s do not fit — noising — give equal shapes and one ${what} per sample`,
  );
}

function mix(
  original: Float32Array,
  noise: Float32Array,
  alphaProd: number | ArrayLike<number>,
  combine: (a: number, s: number, x0: number, e: number) => number,
): Float32Array {
  const alphaProds = typeof alphaProd === 'number' ? [alphaProd] : alphaProd;
  const size = sampleLength(original, noise, alphaProds, 'timestep');
  const out = new Float32Array(original.length);
  for (let n = 0; n < alphaProds.length; n++) {
    const a = Math.sqrt(alphaProds[n]);
    const s = Math.sqrt(1 - alphaProds[n]);
    for (let i = n * size; i < (n + 1) * size; i++) out[i] = combine(a, s, original[i], noise[i]);
  }
  return out;
}
