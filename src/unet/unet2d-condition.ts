import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor1D, type Tensor3D, type Tensor4D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { activation } from './activations.js';
import { downBlockSpecs, midBlockSpecs, upBlockSpecs } from './blocks.js';
import { body, type Cut, type CutResult } from './body.js';
import { contextChannels, type UNet2DConditionConfig } from './condition-config.js';
import { planUNet2DCondition } from './condition-plan.js';
import { embeddingMlp, embeddingMlpSpecs, timestepEmbedding } from './embeddings.js';
import { conv, convSpecs, norm, normSpecs } from './layers.js';
import { checkSize } from './validate.js';

/** The parameters of a UNet2DCondition, in diffusers' names and shapes, with PyTorch's default starting values. */
export function unet2dConditionSpecs(config: UNet2DConditionConfig): ParamSpec[] {
  const { tembChannels, down, mid, up } = planUNet2DCondition(config);
  const width = config.block_out_channels[0];
  return [
    ...convSpecs('conv_in', config.in_channels, width, 3),
    ...embeddingMlpSpecs('time_embedding', width, tembChannels),
    ...down.flatMap(downBlockSpecs),
    ...up.flatMap(upBlockSpecs),
    ...(mid ? midBlockSpecs(mid) : []),
    ...normSpecs('conv_norm_out', width),
    ...convSpecs('conv_out', width, config.out_channels, 3),
  ];
}

/**
 * The U-Net of text-to-image latent diffusion (Rombach et al. 2022, section 3.3; Stable Diffusion 1 and 2), with the
 * options of diffusers' UNet2DConditionModel that docs/models.md lists. A pure, differentiable function that reads no
 * values, so it can be traced and compiled.
 * @param params by the names of `unet2dConditionSpecs(config)`
 * @param sample noisy latents [N, H, W, in_channels]; any H and W, multiples of 2^(levels - 1) with downsample_padding 0
 * @param timesteps float32 [N]
 * @param context what a text encoder says of the prompts, [N, T, cross_attention_dim]
 * @returns [N, H, W, out_channels]
 * @throws InputError for shapes that do not fit, or a missing parameter
 */
export function unet2dCondition(
  config: UNet2DConditionConfig,
  params: Params,
  sample: Tensor4D,
  timesteps: Tensor1D,
  context: Tensor3D,
): Tensor4D {
  return run(config, params, sample, timesteps, context).output;
}

/**
 * `unet2dCondition`, keeping or reusing what its deep part gives.
 * @returns output: as `unet2dCondition`'s; deep: what the deep part gave, to be passed in `cut` at a later step
 * @throws InputError as `unet2dCondition`, and for a branch that the network does not have
 */
export function unet2dConditionCut(
  config: UNet2DConditionConfig,
  params: Params,
  sample: Tensor4D,
  timesteps: Tensor1D,
  context: Tensor3D,
  cut: Cut,
): CutResult {
  return run(config, params, sample, timesteps, context, cut);
}

function run(
  config: UNet2DConditionConfig,
  params: Params,
  sample: Tensor4D,
  timesteps: Tensor1D,
  context: Tensor3D,
  cut?: Cut,
): CutResult {
  checkInputs(config, sample, timesteps, context);
  const { act_fn: act, block_out_channels: widths } = config;
  return tf.tidy(() => {
    const waves = timestepEmbedding(timesteps, widths[0], {
      flipSinToCos: config.flip_sin_to_cos,
      freqShift: config.freq_shift,
    });
    const temb = activation(act, embeddingMlp(params, 'time_embedding', waves, act)); // [N, E]
    const centred = config.center_input_sample ? tf.sub(tf.mul(sample, 2), 1) : sample;
    const first = conv(params, 'conv_in', centred as Tensor4D, { padding: 1 }); // [N, H, W, C0]
    const { x, deep } = body(params, planUNet2DCondition(config), first, { temb, context }, cut);
    const h = activation(act, norm(params, 'conv_norm_out', x, config.norm_num_groups, config.norm_eps));
    const output = conv(params, 'conv_out', h, { padding: 1 }); // [N, H, W, out_channels]
    return { output, deep: cut ? deep : output };
  });
}

function checkInputs(
  config: UNet2DConditionConfig,
  sample: Tensor4D,
  timesteps: Tensor1D,
  context: Tensor3D,
): void {
  const [n, height, width, channels] = sample.shape;
  if (sample.rank !== 4 || channels !== config.in_channels) {
    throw new InputError(
      `sample of shape [${sample.shape}] — UNet2DCondition — give [N, H, W, ${config.in_channels}] (channels last)`,
    );
  }
  if (config.downsample_padding === 0) {
    checkSize(height, width, config.block_out_channels.length, 'UNet2DCondition');
  }
  if (timesteps.rank !== 1 || timesteps.shape[0] !== n) {
    throw new InputError(
      `timesteps of shape [${timesteps.shape}] — UNet2DCondition — give one for each of ${n} samples`,
    );
  }
  const wide = contextChannels(config);
  if (context.rank !== 3 || context.shape[0] !== n || context.shape[2] !== wide) {
    throw new InputError(`text of shape [${context.shape}] — UNet2DCondition — give [${n}, T, ${wide}]`);
  }
}
