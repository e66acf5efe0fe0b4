/** diffusers' VQModel: an autoencoder whose latents come from a codebook (van den Oord et al. 2017; Esser et al. 2021). */
import type { ParamSpec, Params } from '../engine/params.js';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { embeddingLookup } from '../unet/embeddings.js';
import { conv, convSpecs, param } from '../unet/layers.js';
import { checkLatents, decoderSpecs, encoderSpecs, runDecoder, runEncoder } from './coder.js';
import { type VQConfig, vqChannels } from './vq-config.js';

const CODEBOOK = 'quantize.embedding.weight';

/** Weight of the commitment beside the codebook's own error; diffusers fixes it. */
const BETA = 0.25;

/** The parameters of a VQModel, in diffusers' names and shapes, with its starting values. */
export function vqSpecs(config: VQConfig): ParamSpec[] {
  const [z, e, entries] = [config.latent_channels, vqChannels(config), config.num_vq_embeddings];
  return [
    ...encoderSpecs(config, z),
    ...convSpecs('quant_conv', z, e, 1),
    { name: CODEBOOK, shape: [entries, e], init: { uniform: 1 / entries } },
    ...convSpecs('post_quant_conv', e, z, 1),
    ...decoderSpecs(config),
  ];
}

/**
 * The encoder. Its latents are not yet quantized: `decodeVQ` does that, and the diffusion model works between.
 * @param params by the names of `vqSpecs(config)`
 * @param pictures [N, H, W, in_channels] in [-1, 1]; H and W multiples of 2^(levels - 1)
 * @returns unscaled [N, h, w, vq_embed_dim]
 * @throws InputError for shapes that do not fit or a missing parameter
 */
export function encodeVQ(config: VQConfig, params: Params, pictures: Tensor4D): Tensor4D {
  return tf.tidy(() => conv(params, 'quant_conv', runEncoder(config, params, pictures)));
}

/**
 * Index of the nearest codebook entry to each latent, by Euclidean distance.
 * @param codebook [K, E]
 * @param rows [P, E]
 * @returns int32 [P]
 */
export function nearestEntries(codebook: Tensor2D, rows: Tensor2D): Tensor1D {
  return tf.tidy(() => {
    // |z - e|² without |z|², which is the same for every entry; the smallest is the largest negative.
    const products = tf.matMul(rows, tf.mul(codebook, 2), false, true); // [P, K]
    return tf.argMax(tf.sub(products, tf.sum(tf.square(codebook), 1)), 1) as Tensor1D;
  });
}

/**
 * Puts the nearest codebook entry in each latent's place. The gradient passes straight through to the latents (van
 * den Oord et al. 2017, section 3.2); the codebook has none here (see `vqLoss`).
 * @param latents [N, h, w, vq_embed_dim]
 * @returns in the same shape
 */
export function quantize(params: Params, latents: Tensor4D): Tensor4D {
  const codebook = param<Tensor2D>(params, CODEBOOK);
  const nearest = (z: Tensor4D, table: Tensor2D): Tensor4D => {
    const rows = tf.reshape(z, [-1, z.shape[3]]) as Tensor2D;
    return tf.reshape(tf.gather(table, nearestEntries(table, rows)), z.shape);
  };
  const op = tf.customGrad((z, table) => ({
    value: nearest(z as Tensor4D, table as Tensor2D),
    gradFunc: (dy: Tensor) => [dy, tf.zeros(codebook.shape)],
  }));
  return op(latents, codebook) as Tensor4D;
}

/**
 * What diffusers calls commit_loss: mean((q - z)²) with q held, plus a quarter of it with z held, where q are the
 * entries nearest to the latents z (van den Oord et al. 2017, eq. 3, with the weights on the other terms).
 */
export function vqLoss(params: Params, latents: Tensor4D): Scalar {
  const codebook = param<Tensor2D>(params, CODEBOOK);
  return tf.tidy(() => {
    const rows = tf.reshape(latents, [-1, latents.shape[3]]) as Tensor2D;
    const entries = embeddingLookup(codebook, nearestEntries(codebook, rows));
    const commitment = tf.mean(tf.square(tf.sub(held(entries), rows)));
    const fit = tf.mean(tf.square(tf.sub(entries, held(rows))));
    return tf.add(commitment, tf.mul(fit, BETA)) as Scalar;
  });
}

/** The tensor itself, without a way back. */
function held<T extends Tensor>(x: T): T {
  return tf.customGrad((input) => ({
    value: tf.clone(input as Tensor),
    gradFunc: (dy: Tensor) => tf.zerosLike(dy),
  }))(x) as T;
}

/**
 * Quantizes and decodes.
 * @param params by the names of `vqSpecs(config)`
 * @param latents unscaled [N, h, w, vq_embed_dim]; with `forceNotQuantize` and the config's lookup_from_codebook,
 * int32 indices into the codebook [N, h, w], each in [0, num_vq_embeddings)
 * @param forceNotQuantize takes the latents as they are
 * @returns pictures about [-1, 1], [N, H, W, out_channels]
 * @throws InputError for shapes that do not fit or a missing parameter
 */
export function decodeVQ(
  config: VQConfig,
  params: Params,
  latents: Tensor,
  { forceNotQuantize = false }: { readonly forceNotQuantize?: boolean } = {},
): Tensor4D {
  return tf.tidy(() => {
    const quantized = codes(config, params, latents, forceNotQuantize); // [N, h, w, vq_embed_dim]
    const h = conv(params, 'post_quant_conv', quantized); // [N, h, w, latent_channels]
    return runDecoder(config, params, h, config.norm_type === 'spatial' ? quantized : null);
  });
}

function codes(config: VQConfig, params: Params, latents: Tensor, forceNotQuantize: boolean): Tensor4D {
  if (forceNotQuantize && config.lookup_from_codebook) {
    if (latents.rank !== 3 || latents.dtype !== 'int32') {
      throw new InputError(
        `indices of shape [${latents.shape}], ${latents.dtype} — decoder — give int32 [N, H, W]`,
      );
    }
    const codebook = param<Tensor2D>(params, CODEBOOK);
    const rows = embeddingLookup(codebook, tf.reshape(latents, [-1]) as Tensor1D);
    return tf.reshape(rows, [...latents.shape, codebook.shape[1]] as [number, number, number, number]);
  }
  checkLatents(latents as Tensor4D, vqChannels(config));
  return forceNotQuantize ? (latents as Tensor4D) : quantize(params, latents as Tensor4D);
}
