/** The networks, small: what a backend's forward passes and training steps are checked with. */
import { autoencoderSpecs, decode, encode, parseAutoencoderConfig } from '../../src/autoencoder/index.js';
import type { TensorFunction } from '../../src/engine/compile.js';
import { sizeOf } from '../../src/engine/graph.js';
import { initParams, type ParamSpec, type Params } from '../../src/engine/params.js';
import type { Feed } from '../../src/engine/session.js';
import {
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor3D,
  type Tensor4D,
  tf,
} from '../../src/engine/tf.js';
import { asConstants } from '../../src/pipelines/constants.js';
import { Random } from '../../src/random.js';
import type { LossFunction } from '../../src/training/step.js';
import {
  classicUNet,
  classicUNetSpecs,
  isBuffer,
  parseClassicUNetConfig,
  parseUNet2DConditionConfig,
  parseUNet2DConfig,
  unet2d,
  unet2dCondition,
  unet2dConditionSpecs,
  unet2dSpecs,
} from '../../src/unet/index.js';

export interface Network {
  readonly name: string;
  readonly specs: readonly ParamSpec[];
  readonly inputs: Readonly<Record<string, Feed>>;
  /** `training`: batch norm by the batch's own statistics. */
  predict(params: Params, inputs: Record<string, Tensor>, training: boolean): Tensor;
}

const random = (shape: number[], name: string): Feed => ({
  data: new Random(1, name).normal(sizeOf(shape)),
  shape,
  dtype: 'float32',
});
const timesteps: Feed = { data: Float32Array.of(3, 981), shape: [2], dtype: 'float32' };
const labels: Feed = { data: Int32Array.of(2, 0), shape: [2], dtype: 'int32' };

const small = {
  sample_size: 8,
  in_channels: 4,
  out_channels: 4,
  layers_per_block: 1,
  block_out_channels: [16, 32],
  norm_num_groups: 8,
};
const unet = parseUNet2DConfig({
  ...small,
  down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
  up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
  num_class_embeds: 3,
});
const condition = parseUNet2DConditionConfig({
  ...small,
  down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
  cross_attention_dim: 20,
  attention_head_dim: 4,
});
const classic = parseClassicUNetConfig({ base: 8, levels: 3, n_classes: 2 });
const autoencoder = parseAutoencoderConfig({
  block_out_channels: [8, 16],
  down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
  up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
  latent_channels: 4,
  norm_num_groups: 4,
});

export const networks: readonly Network[] = [
  {
    name: 'UNet2D',
    specs: unet2dSpecs(unet),
    inputs: { sample: random([2, 8, 8, 4], 'sample'), timesteps, labels },
    predict: (p, x) => unet2d(unet, p, x.sample as Tensor4D, x.timesteps as Tensor1D, x.labels as Tensor1D),
  },
  {
    name: 'UNet2DCondition',
    specs: unet2dConditionSpecs(condition),
    inputs: { sample: random([2, 8, 8, 4], 'sample'), timesteps, context: random([2, 5, 20], 'context') },
    predict: (p, x) =>
      unet2dCondition(condition, p, x.sample as Tensor4D, x.timesteps as Tensor1D, x.context as Tensor3D),
  },
  {
    name: 'classic U-Net',
    specs: classicUNetSpecs(classic),
    inputs: { sample: random([2, 16, 16, 3], 'sample') },
    predict: (p, x, training) => classicUNet(classic, p, x.sample as Tensor4D, { training }).logits,
  },
  {
    name: 'autoencoder',
    specs: autoencoderSpecs(autoencoder),
    inputs: { pictures: random([2, 16, 16, 3], 'pictures') },
    predict: (p, x) => decode(autoencoder, p, encode(autoencoder, p, x.pictures as Tensor4D).mean),
  },
];

const startOf = (specs: readonly ParamSpec[]): Float32Array => initParams(specs, new Random(2, 'weights'));

/** A network's forward pass as a function of tensors, and its weights as arrays. */
export function forward(network: Network): { fn: TensorFunction; constants: Record<string, Feed> } {
  const constants = asConstants(network.specs, startOf(network.specs));
  return { fn: (all) => ({ y: network.predict(all, all, false) }), constants };
}

/** What is trained of a network, and the mean square of its prediction as the loss. */
export function training(network: Network): { specs: ParamSpec[]; start: Float32Array; loss: LossFunction } {
  const specs = network.specs.filter((spec) => !isBuffer(spec));
  const buffers = network.specs.filter(isBuffer);
  const loss: LossFunction = (params, batch) => {
    // Running statistics play no part in training's forward pass.
    const unused = buffers.map(({ name, shape }) => [name, tf.zeros([...shape])]);
    const y = network.predict({ ...params, ...Object.fromEntries(unused) }, batch, true);
    return { loss: tf.mean(tf.square(y)) as Scalar };
  };
  return { specs, start: startOf(specs), loss };
}
