/** diffusers' AutoencoderTiny: TAESD (Bohan 2023), a small network distilled from a large autoencoder. */

import { conv2d } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor1D, type Tensor4D, tf } from '../engine/tf.js';
import { activation } from '../unet/activations.js';
import { conv, convSpecs, param } from '../unet/layers.js';
import { upsampleNearest } from '../unet/resample.js';
import { checkLatents, checkPictures } from './coder.js';
import type { TinyConfig } from './tiny-config.js';

/** A layer of one of the two sequences; layers without weights count in the numbering of names all the same. */
type Layer =
  | {
      readonly kind: 'conv';
      readonly inp: number;
      readonly out: number;
      readonly stride: 1 | 2;
      readonly bias: boolean;
    }
  | { readonly kind: 'block'; readonly channels: number }
  | { readonly kind: 'activation' }
  | { readonly kind: 'upsample'; readonly factor: number };

const blocks = (channels: number, n: number): Layer[] =>
  Array.from({ length: n }, () => ({ kind: 'block', channels }));

/** A stage: a convolution, which halves from the second stage on, and residual blocks. */
function planEncoder(config: TinyConfig): Layer[] {
  const widths = config.encoder_block_out_channels;
  const stages = widths.flatMap((width, i): Layer[] => [
    i === 0
      ? { kind: 'conv', inp: config.in_channels, out: width, stride: 1, bias: true }
      : { kind: 'conv', inp: width, out: width, stride: 2, bias: false },
    ...blocks(width, config.num_encoder_blocks[i]),
  ]);
  const out = config.latent_channels;
  return [...stages, { kind: 'conv', inp: widths[widths.length - 1], out, stride: 1, bias: true }];
}

/** A stage: residual blocks, an enlargement but in the last, and a convolution. */
function planDecoder(config: TinyConfig): Layer[] {
  const widths = config.decoder_block_out_channels;
  const stages = widths.flatMap((width, i): Layer[] => {
    const last = i === widths.length - 1;
    const grow: Layer = { kind: 'upsample', factor: config.upsampling_scaling_factor };
    return [
      ...blocks(width, config.num_decoder_blocks[i]),
      ...(last ? [] : [grow]),
      { kind: 'conv', inp: width, out: last ? config.out_channels : width, stride: 1, bias: last },
    ];
  });
  return [
    { kind: 'conv', inp: config.latent_channels, out: widths[0], stride: 1, bias: true },
    { kind: 'activation' },
    ...stages,
  ];
}

function layerSpecs(name: string, layer: Layer): ParamSpec[] {
  switch (layer.kind) {
    case 'conv':
      return convSpecs(name, layer.inp, layer.out, 3, layer.bias);
    case 'block':
      return [0, 2, 4].flatMap((i) => convSpecs(`${name}.conv.${i}`, layer.channels, layer.channels, 3));
    default:
      return [];
  }
}

const nameOf = (half: string, i: number) => `${half}.layers.${i}`;

/** The parameters of an AutoencoderTiny, in diffusers' names and shapes, with PyTorch's default starting values. */
export function tinySpecs(config: TinyConfig): ParamSpec[] {
  return [
    ...planEncoder(config).flatMap((layer, i) => layerSpecs(nameOf('encoder', i), layer)),
    ...planDecoder(config).flatMap((layer, i) => layerSpecs(nameOf('decoder', i), layer)),
  ];
}

function runLayer(config: TinyConfig, params: Params, name: string, layer: Layer, x: Tensor4D): Tensor4D {
  const act = (t: Tensor4D) => activation(config.act_fn, t);
  switch (layer.kind) {
    case 'conv': {
      const bias = layer.bias ? param<Tensor1D>(params, `${name}.bias`) : null;
      return conv2d(x, param(params, `${name}.weight`), bias, { stride: layer.stride, padding: 1 });
    }
    case 'block': {
      let h = act(conv(params, `${name}.conv.0`, x, { padding: 1 }));
      h = act(conv(params, `${name}.conv.2`, h, { padding: 1 }));
      return tf.relu(tf.add(conv(params, `${name}.conv.4`, h, { padding: 1 }), x));
    }
    case 'activation':
      return act(x);
    case 'upsample':
      return upsampleNearest(x, layer.factor);
  }
}

function run(
  config: TinyConfig,
  params: Params,
  half: 'encoder' | 'decoder',
  layers: readonly Layer[],
  x: Tensor4D,
): Tensor4D {
  return layers.reduce((h, layer, i) => runLayer(config, params, nameOf(half, i), layer, h), x);
}

/**
 * @param params by the names of `tinySpecs(config)`
 * @param pictures [N, H, W, in_channels] in [-1, 1]; H and W multiples of `tinyDownscale(config)`
 * @returns unscaled latents [N, h, w, latent_channels]
 * @throws InputError for shapes that do not fit or a missing parameter
 */
export function encodeTiny(config: TinyConfig, params: Params, pictures: Tensor4D): Tensor4D {
  checkPictures(pictures, config.in_channels, config.num_encoder_blocks.length);
  return tf.tidy(() => {
    const unit = tf.div(tf.add(pictures, 1), 2) as Tensor4D; // TAESD sees pictures in [0, 1]
    return run(config, params, 'encoder', planEncoder(config), unit);
  });
}

/**
 * @param params by the names of `tinySpecs(config)`
 * @param latents unscaled [N, h, w, latent_channels]; they are bent into ±3
 * @returns pictures about [-1, 1], [N, H, W, out_channels]
 * @throws InputError for shapes that do not fit or a missing parameter
 */
export function decodeTiny(config: TinyConfig, params: Params, latents: Tensor4D): Tensor4D {
  checkLatents(latents, config.latent_channels);
  return tf.tidy(() => {
    const bent = tf.mul(tf.tanh(tf.div(latents, 3)), 3) as Tensor4D;
    const unit = run(config, params, 'decoder', planDecoder(config), bent);
    return tf.sub(tf.mul(unit, 2), 1) as Tensor4D;
  });
}

/** Latents as a picture that can be stored: latents / (2·latent_magnitude) + latent_shift, held to [0, 1]. */
export function packLatents(config: TinyConfig, latents: Tensor4D): Tensor4D {
  return tf.tidy(() => {
    const unit = tf.add(tf.div(latents, 2 * config.latent_magnitude), config.latent_shift);
    return tf.clipByValue(unit, 0, 1) as Tensor4D;
  });
}

/** The way back from `packLatents`. */
export function unpackLatents(config: TinyConfig, stored: Tensor4D): Tensor4D {
  return tf.tidy(() => tf.mul(tf.sub(stored, config.latent_shift), 2 * config.latent_magnitude) as Tensor4D);
}
