import { silu } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor4D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { downBlock, downBlockSpecs, midBlock, midBlockSpecs, upBlock, upBlockSpecs } from '../unet/blocks.js';
import { conv, convSpecs, norm, normSpecs } from '../unet/layers.js';
import { checkSize } from '../unet/validate.js';
import type { AutoencoderConfig } from './config.js';
import { NORM_EPS, planDecoder, planEncoder, planMid } from './plan.js';

/** What the encoder says of a picture: a normal distribution of latents, [N, h, w, latent_channels] each. */
export interface Posterior {
  readonly mean: Tensor4D;
  /** Logarithm of the variance, between -30 and 20. */
  readonly logvar: Tensor4D;
}

/** The parameters of an AutoencoderKL, in diffusers' names and shapes, with PyTorch's default starting values. */
export function autoencoderSpecs(config: AutoencoderConfig): ParamSpec[] {
  const widths = config.block_out_channels;
  const [first, last] = [widths[0], widths[widths.length - 1]];
  const z = config.latent_channels;
  return [
    ...convSpecs('encoder.conv_in', config.in_channels, first, 3),
    ...planEncoder(config).flatMap(downBlockSpecs),
    ...midBlockSpecs(planMid(config, 'encoder')),
    ...normSpecs('encoder.conv_norm_out', last),
    ...convSpecs('encoder.conv_out', last, 2 * z, 3),
    ...convSpecs('decoder.conv_in', z, last, 3),
    ...planDecoder(config).flatMap(upBlockSpecs),
    ...midBlockSpecs(planMid(config, 'decoder')),
    ...normSpecs('decoder.conv_norm_out', first),
    ...convSpecs('decoder.conv_out', first, config.out_channels, 3),
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
  const [, height, width, channels] = pictures.shape;
  if (pictures.rank !== 4 || channels !== config.in_channels) {
    throw new InputError(
      `pictures of shape [${pictures.shape}] — encoder — give [N, H, W, ${config.in_channels}] (channels last)`,
    );
  }
  checkSize(height, width, config.block_out_channels.length, 'encoder');
  return tf.tidy(() => {
    let h = conv(params, 'encoder.conv_in', pictures, { padding: 1 }); // [N, H, W, C0]
    for (const plan of planEncoder(config)) h = downBlock(params, plan, h, null).x;
    h = midBlock(params, planMid(config, 'encoder'), h, null); // [N, h, w, C]
    h = silu(norm(params, 'encoder.conv_norm_out', h, config.norm_num_groups, NORM_EPS));
    h = conv(params, 'encoder.conv_out', h, { padding: 1 }); // [N, h, w, 2·latent_channels]
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
  if (latents.rank !== 4 || latents.shape[3] !== config.latent_channels) {
    throw new InputError(
      `latents of shape [${latents.shape}] — decoder — give [N, H, W, ${config.latent_channels}] (channels last)`,
    );
  }
  return tf.tidy(() => {
    let h = config.use_post_quant_conv ? conv(params, 'post_quant_conv', latents) : latents;
    h = conv(params, 'decoder.conv_in', h, { padding: 1 }); // [N, h, w, C]
    h = midBlock(params, planMid(config, 'decoder'), h, null);
    for (const plan of planDecoder(config)) h = upBlock(params, plan, h, null, null);
    h = silu(norm(params, 'decoder.conv_norm_out', h, config.norm_num_groups, NORM_EPS)); // [N, H, W, C0]
    return conv(params, 'decoder.conv_out', h, { padding: 1 });
  });
}
