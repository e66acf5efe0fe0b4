/** The encoder and the decoder that AutoencoderKL and VQModel share (Esser et al. 2021, VQGAN; Rombach et al. 2022). */
import { silu } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor4D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { downBlock, downBlockSpecs, midBlock, midBlockSpecs, upBlock, upBlockSpecs } from '../unet/blocks.js';
import { conv, convSpecs, norm, normSpecs } from '../unet/layers.js';
import { spatialNorm, spatialNormSpecs } from '../unet/spatial-norm.js';
import { checkSize } from '../unet/validate.js';
import { type CoderConfig, NORM_EPS, planDecoder, planEncoder, planMid } from './plan.js';

const lastOf = (widths: readonly number[]) => widths[widths.length - 1];

/** Parameters of the encoder. @param out channels of its result */
export function encoderSpecs(config: CoderConfig, out: number): ParamSpec[] {
  const widths = config.block_out_channels;
  const last = lastOf(widths);
  return [
    ...convSpecs('encoder.conv_in', config.in_channels, widths[0], 3),
    ...planEncoder(config).flatMap(downBlockSpecs),
    ...midBlockSpecs(planMid(config, 'encoder')),
    ...normSpecs('encoder.conv_norm_out', last),
    ...convSpecs('encoder.conv_out', last, out, 3),
  ];
}

/** Parameters of the decoder. */
export function decoderSpecs(config: CoderConfig): ParamSpec[] {
  const widths = config.block_out_channels;
  const [first, z] = [widths[0], config.latent_channels];
  return [
    ...convSpecs('decoder.conv_in', z, lastOf(widths), 3),
    ...planDecoder(config).flatMap(upBlockSpecs),
    ...midBlockSpecs(planMid(config, 'decoder')),
    ...(config.norm_type === 'spatial'
      ? spatialNormSpecs('decoder.conv_norm_out', first, z)
      : normSpecs('decoder.conv_norm_out', first)),
    ...convSpecs('decoder.conv_out', first, config.out_channels, 3),
  ];
}

/**
 * @param pictures [N, H, W, in_channels] in [-1, 1]
 * @param levels how many widths there are: sides must halve one time less
 * @throws InputError for shapes that do not fit
 */
export function checkPictures(pictures: Tensor4D, channels: number, levels: number): void {
  const [, height, width, given] = pictures.shape;
  if (pictures.rank !== 4 || given !== channels) {
    throw new InputError(
      `pictures of shape [${pictures.shape}] — encoder — give [N, H, W, ${channels}] (channels last)`,
    );
  }
  checkSize(height, width, levels, 'encoder');
}

/** @throws InputError when latents are not [N, h, w, channels] */
export function checkLatents(latents: Tensor4D, channels: number): void {
  if (latents.rank === 4 && latents.shape[3] === channels) return;
  throw new InputError(
    `latents of shape [${latents.shape}] — decoder — give [N, H, W, ${channels}] (channels last)`,
  );
}

/**
 * @param pictures [N, H, W, in_channels] in [-1, 1]
 * @returns [N, h, w, out], with `out` as `encoderSpecs` was told
 * @throws InputError for shapes that do not fit or a missing parameter
 */
export function runEncoder(config: CoderConfig, params: Params, pictures: Tensor4D): Tensor4D {
  checkPictures(pictures, config.in_channels, config.block_out_channels.length);
  return tf.tidy(() => {
    let h = conv(params, 'encoder.conv_in', pictures, { padding: 1 }); // [N, H, W, C0]
    for (const plan of planEncoder(config)) h = downBlock(params, plan, h, null).x;
    h = midBlock(params, planMid(config, 'encoder'), h, null); // [N, h, w, C]
    h = silu(norm(params, 'encoder.conv_norm_out', h, config.norm_num_groups, NORM_EPS));
    return conv(params, 'encoder.conv_out', h, { padding: 1 });
  });
}

/**
 * @param latents [N, h, w, latent_channels]
 * @param z what spatial norms depend on, in the latents' shape; null where the norms are plain
 * @returns [N, H, W, out_channels]
 */
export function runDecoder(
  config: CoderConfig,
  params: Params,
  latents: Tensor4D,
  z: Tensor4D | null,
): Tensor4D {
  return tf.tidy(() => {
    let h = conv(params, 'decoder.conv_in', latents, { padding: 1 }); // [N, h, w, C]
    h = midBlock(params, planMid(config, 'decoder'), h, z);
    for (const plan of planDecoder(config)) h = upBlock(params, plan, h, null, z).x;
    const name = 'decoder.conv_norm_out';
    h = z ? spatialNorm(params, name, h, z) : norm(params, name, h, config.norm_num_groups, NORM_EPS);
    return conv(params, 'decoder.conv_out', silu(h), { padding: 1 }); // [N, H, W, out_channels]
  });
}
