/** What the files of an ONNX export compute: each is one network of a checkpoint, its inputs and outputs by name. */
import { type AutoencoderNetwork, isOfDecoder, isOfEncoder, openAutoencoder } from '../autoencoder/index.js';
import { sizeOf } from '../engine/graph.js';
import { type Params, viewParams } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from '../engine/tf.js';
import { asConstants } from '../pipelines/constants.js';
import type { Random } from '../random.js';
import { CLIP_TEXT_CLASS_NAME, clipText, clipTextSpecs } from '../text/index.js';
import type { UNetNetwork } from '../unet/index.js';
import type { ModelParts } from './source.js';

/** An input of a file. */
export interface FileInput {
  /**
   * Without the batch in front: [channels, height, width] of pictures, [] of a number for each picture, [tokens] of
   * texts, [tokens, channels] of encoded ones.
   */
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int64';
  /** Whether one value may stand for all pictures of a batch. */
  readonly broadcasts?: boolean;
  /** Plausible values for `n` pictures, to try the file with. */
  readonly example: (n: number, random: Random) => Float32Array;
}

/** A network as a file: pictures are channels-first outside, channels-last for `fn`. */
export interface GraphFile {
  /** Name without the extension: that of the component, as diffusers' and optimum's exporters call it. */
  readonly name: 'unet' | 'vae_encoder' | 'vae_decoder' | 'text_encoder';
  /** The network's class. */
  readonly className: string;
  readonly inputs: Readonly<Record<string, FileInput>>;
  /** The one output: pictures or latents (four axes, channels first outside), or encoded texts. */
  readonly output: string;
  readonly fn: (inputs: Record<string, Tensor>) => Tensor;
  readonly constants: Readonly<Record<string, Feed>>;
}

const normal =
  (shape: readonly number[]) =>
  (n: number, random: Random): Float32Array =>
    random.normal(n * sizeOf(shape));
const pictures =
  (shape: readonly number[]) =>
  (n: number, random: Random): Float32Array =>
    random.uniform(n * sizeOf(shape)).map((v) => 2 * v - 1);
/** Whole numbers from 0. */
const below =
  (limit: number) =>
  (n: number, random: Random): Float32Array =>
    random.uniform(n).map((v) => Math.floor(v * limit));

function timesteps(config: UNetNetwork['config']): FileInput['example'] {
  if (!('num_train_timesteps' in config)) return below(1000);
  switch (config.time_embedding_type) {
    case 'positional':
      return below(1000);
    case 'learned':
      return below(config.num_train_timesteps ?? 1);
    case 'fourier':
      return (n, random) => random.uniform(n).map((v) => 0.1 + v);
  }
}

function unetFile(
  network: UNetNetwork,
  unetParams: Float32Array,
  tokens: number,
  size: readonly [number, number],
): GraphFile {
  const { config, textChannels } = network;
  const shape = [config.in_channels, ...size];
  const rows = config.num_class_embeds;
  const told = textChannels === null ? null : [tokens, textChannels];
  return {
    name: 'unet',
    className: network.className,
    inputs: {
      sample: { shape, dtype: 'float32', example: normal(shape) },
      timestep: { shape: [], dtype: 'float32', broadcasts: true, example: timesteps(config) },
      ...(rows === null
        ? {}
        : { class_labels: { shape: [], dtype: 'int64' as const, example: below(rows) } }),
      ...(told && {
        encoder_hidden_states: { shape: told, dtype: 'float32' as const, example: normal(told) },
      }),
    },
    output: 'out_sample',
    fn: ({ sample, timestep, class_labels, encoder_hidden_states, ...weights }) =>
      network.predict(weights as Params, {
        sample: sample as Tensor4D,
        timesteps: timestep as Tensor1D,
        labels: class_labels as Tensor1D | undefined,
        context: encoder_hidden_states as Tensor3D | undefined,
      }),
    constants: asConstants(network.specs, unetParams),
  };
}

/**
 * The same autoencoder between pictures and its own latents: as in diffusers and optimum, whoever runs the files
 * applies scaling_factor and the like.
 */
function unscaled({ className, config }: AutoencoderNetwork): AutoencoderNetwork {
  const plain: Record<string, unknown> = {
    scaling_factor: 1,
    shift_factor: null,
    latents_mean: null,
    latents_std: null,
  };
  const own = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, key in plain ? plain[key] : value]),
  );
  return openAutoencoder(className, own, className);
}

const CODEBOOK = 'quantize.embedding.weight';

/** Latents to try a decoder with: near entries of the codebook where there is one, so that none lies between two. */
function latentExample(
  network: AutoencoderNetwork,
  params: Float32Array,
  shape: readonly number[],
): FileInput['example'] {
  const codebook = viewParams(network.specs, params)[CODEBOOK];
  if (!codebook) return normal(shape);
  const [channels, h, w] = shape;
  const rows = codebook.length / channels;
  return (n, random) => {
    const values = new Float32Array(n * sizeOf(shape));
    const chosen = below(rows)(n * h * w, random);
    chosen.forEach((row, i) => {
      const [picture, pixel] = [Math.floor(i / (h * w)), i % (h * w)];
      for (let c = 0; c < channels; c++)
        values[(picture * channels + c) * h * w + pixel] = codebook[row * channels + c];
    });
    return values;
  };
}

function autoencoderFiles(
  { network: scaled, params }: NonNullable<ModelParts['autoencoder']>,
  [h, w]: readonly [number, number],
): GraphFile[] {
  const network = unscaled(scaled);
  const { downscale, latentChannels } = network;
  const picture = [network.config.in_channels, h * downscale, w * downscale];
  const latents = [latentChannels, h, w];
  return [
    {
      name: 'vae_encoder',
      className: network.className,
      inputs: { sample: { shape: picture, dtype: 'float32', example: pictures(picture) } },
      output: 'latent_sample',
      fn: ({ sample, ...rest }) => network.encode(rest as Params, sample as Tensor4D),
      constants: asConstants(network.specs, params, isOfEncoder),
    },
    {
      name: 'vae_decoder',
      className: network.className,
      inputs: {
        latent_sample: { shape: latents, dtype: 'float32', example: latentExample(network, params, latents) },
      },
      output: 'sample',
      fn: ({ latent_sample, ...rest }) => network.decode(rest as Params, latent_sample as Tensor4D),
      constants: asConstants(network.specs, params, isOfDecoder),
    },
  ];
}

/** Texts as numbers of tokens, to what the UNet is told of them. */
function textFile({ config, params, tokenizer }: NonNullable<ModelParts['text']>): GraphFile {
  const { maxLength: tokens } = tokenizer.data;
  const ids = below(config.vocab_size);
  return {
    name: 'text_encoder',
    className: CLIP_TEXT_CLASS_NAME,
    inputs: {
      input_ids: { shape: [tokens], dtype: 'int64', example: (n, random) => ids(n * tokens, random) },
    },
    output: 'last_hidden_state',
    fn: ({ input_ids, ...weights }) => clipText(config, weights as Params, input_ids as Tensor2D),
    constants: asConstants(clipTextSpecs(config), params),
  };
}

/** Tokens of a text where a UNet comes without its text encoder: CLIP's. */
const CLIP_TOKENS = 77;

/**
 * The files of a checkpoint.
 * @param size height and width of the UNet's sample
 */
export function graphFiles(
  { network, unetParams, autoencoder, text }: ModelParts,
  size: readonly [number, number],
): GraphFile[] {
  const tokens = text?.tokenizer.data.maxLength ?? CLIP_TOKENS;
  return [
    ...(text ? [textFile(text)] : []),
    ...(network ? [unetFile(network, unetParams, tokens, size)] : []),
    ...(autoencoder ? autoencoderFiles(autoencoder, size) : []),
  ];
}
