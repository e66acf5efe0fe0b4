/** Keeps a predicted picture within the range of pictures. */
import { InputError } from '../errors.js';

interface LimitConfig {
  clip_sample?: boolean;
  clip_sample_range?: number;
  thresholding?: boolean;
  dynamic_thresholding_ratio?: number;
  sample_max_value?: number;
}

/**
 * Clips or thresholds x_0 as the config says; thresholding takes precedence.
 * @param original x_0, `batchSize` pictures one after another; changed in place
 * @throws InputError when thresholding and the batch does not divide the array
 */
export function limitOriginal<Values extends Float32Array | Float64Array>(
  original: Values,
  config: LimitConfig,
  batchSize = 1,
): Values {
  if (config.thresholding) {
    const size = original.length / batchSize;
    if (!Number.isInteger(size))
      throw new InputError(
        `${original.length} values do not make ${batchSize} pictures — dynamic thresholding — set batchSize`,
      );
    for (let n = 0; n < batchSize; n++) threshold(original.subarray(n * size, (n + 1) * size), config);
  } else if (config.clip_sample) {
    clip(original, config.clip_sample_range ?? 1);
  }
  return original;
}

function clip(x: Float32Array | Float64Array, range: number): void {
  for (let i = 0; i < x.length; i++) x[i] = Math.min(Math.max(x[i], -range), range);
}

/**
 * Dynamic thresholding (Saharia et al. 2022, "Imagen", sec. 2.3): clip one picture to ±s, s being a quantile of
 * its absolute values (at least 1), and divide by s.
 */
function threshold(picture: Float32Array | Float64Array, config: LimitConfig): void {
  const { dynamic_thresholding_ratio = 0.995, sample_max_value = 1 } = config;
  const quantile = quantileOf(picture.map(Math.abs), dynamic_thresholding_ratio);
  const s = Math.min(Math.max(quantile, 1), sample_max_value);
  clip(picture, s);
  for (let i = 0; i < picture.length; i++) picture[i] /= s;
}

/** The quantile `q` of the values, linear between neighbours (the default of NumPy and PyTorch). */
function quantileOf(values: Float32Array | Float64Array, q: number): number {
  const sorted = values.sort();
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}
