/** The kinds of autoencoder that pipelines work with, behind one interface. */
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor4D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { autoencoderSpecs, decode, encode } from './autoencoder.js';
import {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  downscale,
  parseAutoencoderConfig,
} from './config.js';
import { type LatentScale, scaleDeviations, scaleLatents, unscaleLatents } from './latents.js';
import { decodeTiny, encodeTiny, tinySpecs } from './tiny.js';
import { parseTinyConfig, TINY_CLASS_NAME, type TinyConfig, tinyDownscale } from './tiny-config.js';
import { decodeVQ, encodeVQ, vqSpecs } from './vq.js';
import { parseVQConfig, VQ_CLASS_NAME, type VQConfig, vqChannels } from './vq-config.js';

/** An autoencoder: its configuration, and what a pipeline does with it. */
export interface AutoencoderNetwork {
  /** diffusers' class. */
  readonly className: string;
  readonly config: AutoencoderConfig | VQConfig | TinyConfig;
  readonly specs: readonly ParamSpec[];
  /** Channels of the diffusion model's samples. */
  readonly latentChannels: number;
  /** How many pixels, along one side, one latent stands for. */
  readonly downscale: number;
  /**
   * @param pictures [N, H, W, in_channels] in [-1, 1]
   * @returns scaled latents [N, h, w, latentChannels]; of a distribution, its mean
   */
  encode(params: Params, pictures: Tensor4D): Tensor4D;
  /** The whole distribution, where the encoder tells of one: mean and standard deviation of the scaled latents. */
  spread?(params: Params, pictures: Tensor4D): { mean: Tensor4D; deviation: Tensor4D };
  /**
   * @param latents scaled, [N, h, w, latentChannels]
   * @returns pictures about [-1, 1], [N, H, W, out_channels]
   */
  decode(params: Params, latents: Tensor4D): Tensor4D;
}

type Coders = Pick<AutoencoderNetwork, 'encode' | 'decode'>;

/** Adds the scaling of latents to an encoder and a decoder that know nothing of it. */
function scaling(config: LatentScale, { encode, decode }: Coders): Coders {
  return {
    encode: (params, pictures) => tf.tidy(() => scaleLatents(config, encode(params, pictures))),
    decode: (params, latents) => tf.tidy(() => decode(params, unscaleLatents(config, latents))),
  };
}

/** An AutoencoderKL of a config. */
export function klNetwork(config: AutoencoderConfig): AutoencoderNetwork {
  return {
    className: AUTOENCODER_CLASS_NAME,
    config,
    specs: autoencoderSpecs(config),
    latentChannels: config.latent_channels,
    downscale: downscale(config),
    ...scaling(config, {
      encode: (params, pictures) => encode(config, params, pictures).mean,
      decode: (params, latents) => decode(config, params, latents),
    }),
    spread: (params, pictures) =>
      tf.tidy(() => {
        const { mean, logvar } = encode(config, params, pictures);
        return { mean: scaleLatents(config, mean), deviation: scaleDeviations(config, logvar) };
      }),
  };
}

/** A VQModel of a config. */
export function vqNetwork(config: VQConfig): AutoencoderNetwork {
  return {
    className: VQ_CLASS_NAME,
    config,
    specs: vqSpecs(config),
    latentChannels: vqChannels(config),
    downscale: 2 ** (config.block_out_channels.length - 1),
    ...scaling(config, {
      encode: (params, pictures) => encodeVQ(config, params, pictures),
      decode: (params, latents) => decodeVQ(config, params, latents),
    }),
  };
}

/** An AutoencoderTiny of a config. */
export function tinyNetwork(config: TinyConfig): AutoencoderNetwork {
  return {
    className: TINY_CLASS_NAME,
    config,
    specs: tinySpecs(config),
    latentChannels: config.latent_channels,
    downscale: tinyDownscale(config),
    ...scaling(config, {
      encode: (params, pictures) => encodeTiny(config, params, pictures),
      decode: (params, latents) => decodeTiny(config, params, latents),
    }),
  };
}

const kinds: Readonly<Record<string, (config: unknown, where: string) => AutoencoderNetwork>> = {
  [AUTOENCODER_CLASS_NAME]: (config, where) => klNetwork(parseAutoencoderConfig(config, where)),
  [VQ_CLASS_NAME]: (config, where) => vqNetwork(parseVQConfig(config, where)),
  [TINY_CLASS_NAME]: (config, where) => tinyNetwork(parseTinyConfig(config, where)),
};

/**
 * The autoencoder of a checkpoint.
 * @param className `_class_name` of its config
 * @param config parsed vae/config.json or vqvae/config.json
 * @param where the folder it came from, for messages
 * @throws InputError for an unknown class, or when the config is no good
 */
export function openAutoencoder(className: string, config: unknown, where: string): AutoencoderNetwork {
  if (!Object.hasOwn(kinds, className)) {
    const known = Object.keys(kinds).join(', ');
    throw new InputError(
      `a ${className} is not supported — ${where} — use a checkpoint with one of ${known}`,
    );
  }
  return kinds[className](config, where);
}
