import { silu } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { activation } from './activations.js';
import { downBlockSpecs, midBlockSpecs, upBlockSpecs } from './blocks.js';
import { body, type Cut, type CutResult } from './body.js';
import type { UNet2DConfig } from './config.js';
import {
  embeddingLookup,
  embeddingMlp,
  embeddingMlpSpecs,
  fourierEmbedding,
  timestepEmbedding,
} from './embeddings.js';
import { conv, convSpecs, norm, normSpecs, param } from './layers.js';
import { planUNet2D } from './plan.js';
import { checkSize } from './validate.js';

/**
 * Classes: int32 [N], each in [0, num_class_embeds); with class_embed_type 'timestep' any numbers [N]; with
 * 'identity' ready-made embeddings [N, time_embedding_dim].
 */
export type ClassLabels = Tensor1D | Tensor2D;

/** The parameters of a UNet2D, in diffusers' names and shapes, with PyTorch's default starting values. */
export function unet2dSpecs(config: UNet2DConfig): ParamSpec[] {
  const { tembChannels, down, mid, up } = planUNet2D(config);
  const width = config.block_out_channels[0];
  return [
    ...convSpecs('conv_in', config.in_channels, width, 3),
    ...timeSpecs(config, width),
    ...embeddingMlpSpecs('time_embedding', timeChannels(config), tembChannels),
    ...classSpecs(config, tembChannels),
    ...down.flatMap(downBlockSpecs),
    ...up.flatMap(upBlockSpecs),
    ...(mid ? midBlockSpecs(mid) : []),
    ...normSpecs('conv_norm_out', width),
    ...convSpecs('conv_out', width, config.out_channels, 3),
  ];
}

/** Spread of the random frequencies of Fourier features; diffusers fixes it. */
const FOURIER_SCALE = 16;

function timeSpecs(config: UNet2DConfig, width: number): ParamSpec[] {
  const name = 'time_proj.weight';
  switch (config.time_embedding_type) {
    case 'positional':
      return [];
    case 'fourier':
      return [{ name, shape: [width], init: { normal: FOURIER_SCALE } }];
    case 'learned':
      return [{ name, shape: [config.num_train_timesteps ?? 0, width], init: { normal: 1 } }];
  }
}

/** Channels of the waves, features or table rows that the time embedding starts from. */
function timeChannels(config: UNet2DConfig): number {
  const [width] = config.block_out_channels;
  return config.time_embedding_type === 'fourier' ? 2 * width : width;
}

function classSpecs(config: UNet2DConfig, tembChannels: number): ParamSpec[] {
  if (config.class_embed_type === 'timestep')
    return embeddingMlpSpecs('class_embedding', timeChannels(config), tembChannels);
  if (config.class_embed_type === 'identity' || config.num_class_embeds === null) return [];
  const shape = [config.num_class_embeds, tembChannels];
  return [{ name: 'class_embedding.weight', shape, init: { normal: 1 } }];
}

/** Whether the network wants class labels. */
export function isClassConditional(
  config: Pick<UNet2DConfig, 'class_embed_type' | 'num_class_embeds'>,
): boolean {
  return config.class_embed_type !== null || config.num_class_embeds !== null;
}

/**
 * Checks timesteps that a network is to be told: Fourier features need them above 0, a table whole and within it.
 * @param where what chose the timesteps, for messages
 * @throws InputError naming the first that the network does not know
 */
export function checkTimesteps(config: UNet2DConfig, timesteps: readonly number[], where: string): void {
  const { time_embedding_type: type, num_train_timesteps: rows } = config;
  const known = (t: number) =>
    type === 'positional' || (type === 'fourier' ? t > 0 : Number.isInteger(t) && t >= 0 && t < (rows ?? 0));
  const strange = timesteps.find((t) => !known(t));
  if (strange === undefined) return;
  const wanted = type === 'fourier' ? 'above 0' : `whole and below ${rows}`;
  throw new InputError(
    `timestep ${strange} is none that a network with ${type} time embeddings knows — ${where} — ` +
      `use a scheduler, or a number of steps, whose timesteps are ${wanted}`,
  );
}

/**
 * The U-Net of diffusion models: DDPM's (Ho et al. 2020) and NCSN++ (Song et al. 2021), with the options of
 * diffusers' UNet2DModel. A pure, differentiable function that reads no values, so it can be traced and compiled.
 * With Fourier features of time the prediction is divided by the timestep, which is then a noise level.
 *
 * Classifier-free guidance needs a null class: make the class table one row larger and let the last label,
 * num_class_embeds - 1, stand for it. The network treats it like any other.
 * @param params by the names of `unet2dSpecs(config)`
 * @param sample noisy pictures or latents [N, H, W, in_channels]; H and W multiples of 2^(levels - 1)
 * @param timesteps float32 [N]; above 0 with Fourier features, whole numbers with a learned table
 * @param classLabels what `ClassLabels` says, exactly when `isClassConditional(config)`. Values are not read, so
 * labels out of range are for the caller to refuse.
 * @returns [N, H, W, out_channels]
 * @throws InputError for shapes that do not fit, labels missing or unwanted, or a missing parameter
 */
export function unet2d(
  config: UNet2DConfig,
  params: Params,
  sample: Tensor4D,
  timesteps: Tensor1D,
  classLabels?: ClassLabels,
): Tensor4D {
  return run(config, params, sample, timesteps, classLabels).output;
}

/**
 * `unet2d`, keeping or reusing what its deep part gives.
 * @returns output: as `unet2d`'s; deep: what the deep part gave, to be passed in `cut` at a later step
 * @throws InputError as `unet2d`, and for a branch that the network does not have
 */
export function unet2dCut(
  config: UNet2DConfig,
  params: Params,
  sample: Tensor4D,
  timesteps: Tensor1D,
  classLabels: ClassLabels | undefined,
  cut: Cut,
): CutResult {
  return run(config, params, sample, timesteps, classLabels, cut);
}

function run(
  config: UNet2DConfig,
  params: Params,
  sample: Tensor4D,
  timesteps: Tensor1D,
  classLabels?: ClassLabels,
  cut?: Cut,
): CutResult {
  const plan = planUNet2D(config);
  checkInputs(config, sample, timesteps, classLabels, plan.tembChannels);
  return tf.tidy(() => {
    const temb = activation(config.act_fn, embed(config, params, timesteps, classLabels)); // [N, E]
    const centred = config.center_input_sample ? tf.sub(tf.mul(sample, 2), 1) : sample;
    const first = conv(params, 'conv_in', centred as Tensor4D, { padding: 1 }); // [N, H, W, C0]
    const { x, picture, deep } = body(params, plan, first, { temb, picture: centred as Tensor4D }, cut);
    let h = silu(norm(params, 'conv_norm_out', x, plan.groupsOut, config.norm_eps)); // [N, H, W, C0]
    h = conv(params, 'conv_out', h, { padding: 1 }); // [N, H, W, out_channels]
    if (picture) h = tf.add(h, picture);
    const output: Tensor4D =
      config.time_embedding_type === 'fourier' ? tf.div(h, tf.reshape(timesteps, [-1, 1, 1, 1])) : h;
    return { output, deep: cut ? deep : output };
  });
}

/** Time embedding plus class embedding, [N, E]. */
function embed(
  config: UNet2DConfig,
  params: Params,
  timesteps: Tensor1D,
  classLabels: ClassLabels | undefined,
): Tensor2D {
  const project = (t: Tensor1D): Tensor2D => {
    switch (config.time_embedding_type) {
      case 'positional':
        return timestepEmbedding(t, config.block_out_channels[0], {
          flipSinToCos: config.flip_sin_to_cos,
          freqShift: config.freq_shift,
        });
      case 'fourier':
        return fourierEmbedding(t, param(params, 'time_proj.weight'));
      case 'learned':
        return embeddingLookup(param(params, 'time_proj.weight'), tf.cast(t, 'int32'));
    }
  };
  const time = embeddingMlp(params, 'time_embedding', project(timesteps));
  if (!classLabels) return time;
  switch (config.class_embed_type) {
    case 'identity':
      return tf.add(time, classLabels);
    case 'timestep': {
      const numbers = tf.cast(classLabels as Tensor1D, 'float32');
      return tf.add(time, embeddingMlp(params, 'class_embedding', project(numbers)));
    }
    case null:
      return tf.add(time, embeddingLookup(param(params, 'class_embedding.weight'), classLabels as Tensor1D));
  }
}

function checkInputs(
  config: UNet2DConfig,
  sample: Tensor4D,
  timesteps: Tensor1D,
  classLabels: ClassLabels | undefined,
  tembChannels: number,
): void {
  const [n, height, width, channels] = sample.shape;
  if (sample.rank !== 4 || channels !== config.in_channels) {
    throw new InputError(
      `sample of shape [${sample.shape}] — UNet2D — give [N, H, W, ${config.in_channels}] (channels last)`,
    );
  }
  checkSize(height, width, config.block_out_channels.length, 'UNet2D');
  if (timesteps.rank !== 1 || timesteps.shape[0] !== n) {
    throw new InputError(
      `timesteps of shape [${timesteps.shape}] — UNet2D — give one for each of ${n} samples`,
    );
  }
  const wanted = isClassConditional(config);
  if (wanted && !classLabels) {
    throw new InputError(
      `no class labels — UNet2D — this model is conditional: give one label for each sample`,
    );
  }
  if (!wanted && classLabels) {
    throw new InputError('class labels — UNet2D — this model has no classes: leave the labels out');
  }
  if (!classLabels) return;
  const shape = config.class_embed_type === 'identity' ? [n, tembChannels] : [n];
  if (`${classLabels.shape}` !== `${shape}`) {
    throw new InputError(`class labels of shape [${classLabels.shape}] — UNet2D — give [${shape}]`);
  }
  if (config.class_embed_type === null && classLabels.dtype !== 'int32') {
    throw new InputError(`class labels of dtype ${classLabels.dtype} — UNet2D — give int32`);
  }
}
