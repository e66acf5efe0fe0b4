import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor4D, tf } from '../engine/tf.js';
import { conv, convSpecs, norm, normSpecs } from './layers.js';
import { upsampleNearest } from './resample.js';

/** diffusers fixes both for this norm, whatever the config says. */
export const SPATIAL_NORM_GROUPS = 32;
const EPS = 1e-6;

/** Parameters of `spatialNorm` for pictures of `channels` under `zChannels` of latents. */
export function spatialNormSpecs(name: string, channels: number, zChannels: number): ParamSpec[] {
  return [
    ...normSpecs(`${name}.norm_layer`, channels),
    ...convSpecs(`${name}.conv_y`, zChannels, channels, 1),
    ...convSpecs(`${name}.conv_b`, zChannels, channels, 1),
  ];
}

/**
 * Group norm whose scale and shift are linear in the quantized latents at each place (Zheng et al. 2022, "MoVQ",
 * eq. 3).
 * @param x [N, H, W, C], C a multiple of 32
 * @param z quantized latents [N, h, w, Z], H/h = W/w a power of two
 * @returns [N, H, W, C]
 */
export function spatialNorm(params: Params, name: string, x: Tensor4D, z: Tensor4D): Tensor4D {
  const factor = x.shape[1] / z.shape[1];
  // A pointwise convolution and a nearest-neighbour enlargement may change places.
  const spread = (t: Tensor4D) => upsampleNearest(t, factor);
  return tf.tidy(() => {
    const normed = norm(params, `${name}.norm_layer`, x, SPATIAL_NORM_GROUPS, EPS);
    const scale = spread(conv(params, `${name}.conv_y`, z));
    return tf.add(tf.mul(normed, scale), spread(conv(params, `${name}.conv_b`, z)));
  });
}
