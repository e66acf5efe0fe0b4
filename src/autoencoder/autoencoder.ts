import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor4D, tf } from '../engine/tf.js';
import { conv, convSpecs } from '../unet/layers.js';
import { checkLatents, decoderSpecs, encoderSpecs, runDecoder, runEncoder } from './coder.js';
import type { AutoencoderConfig } from './config.js';

/** What the encoder says of a picture: a normal distribution of latents, [N, h, w, latent_channels] each. */
export interface Posterior {
  readonly mean: Tensor4D;
  /** Logarithm of the variance, between -30 and 20. */
  readonly logvar: Tensor4D;
}

/** The parameters of an AutoencoderKL, in diffusers' names and shapes, with PyTorch's default starting values. */
export function autoencoderSpecs(config: AutoencoderConfig): ParamSpec[] {
  const z = config.latent_channels;
  return [
    ...encoderSpecs(config, 2 * z),
    ...decoderSpecs(config),
    ...(config.use_quant_conv ? convSpecs('quant_conv', 2 * z, 2 * z, 1) : []),
    ...(config.use_post_quant_conv ? convSpecs('post_quant_conv', z, z, 1) : []),
  ];
}

/**
 * The encoder of latent diffusion's autoencoder (Rombach et al. 2022; diffusers' AutoencoderKL). A pure,
 * differentiable function that reads no values.
 * @param params by the names of `autoencoderSpecs(config)`
 * @param pictures [N, H, W, in_channels] in [-1, 1]; H and W multiples of `downscale(config)`
 * @returns unscaled latents' distribution, h = H / downscale(config)
 * @throws InputError for shapes that do not fit or a missing parameter
 */
export function encode(config: AutoencoderConfig, params: Params, pictures: Tensor4D): Posterior {
  return tf.tidy(() => {
    let h = runEncoder(config, params, pictures); // [N, h, w, 2·latent_channels]
    if (config.use_quant_conv) h = conv(params, 'quant_conv', h);
    const z = config.latent_channels;
    const mean = tf.slice(h, [0, 0, 0, 0], [-1, -1, -1, z]);
    const logvar = tf.slice(h, [0, 0, 0, z], [-1, -1, -1, z]);
    return { mean, logvar: tf.clipByValue(logvar, -30, 20) };
  });
}

/**
 * The decoder of latent diffusion's autoencoder.
 * @param params by the names of `autoencoderSpecs(config)`
 * @param latents unscaled [N, h, w, latent_channels]
 * @returns pictures about [-1, 1], [N, h·downscale, w·downscale, out_channels]
 * @throws InputError for shapes that do not fit or a missing parameter
 */
export function decode(config: AutoencoderConfig, params: Params, latents: Tensor4D): Tensor4D {
  checkLatents(latents, config.latent_channels);
  return tf.tidy(() => {
    const h = config.use_post_quant_conv ? conv(params, 'post_quant_conv', latents) : latents;
    return runDecoder(config, params, h, null);
  });
}
