/** Pictures to latents and back: diffusers' AutoencoderKL, VQModel and AutoencoderTiny. */
export { autoencoderSpecs, decode, encode, type Posterior } from './autoencoder.js';
export {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  type AutoencoderInput,
  downscale,
  parseAutoencoderConfig,
} from './config.js';
export { isOfDecoder, isOfEncoder } from './halves.js';
export { klDivergence, type LatentScale, sampleLatents, scaleLatents, unscaleLatents } from './latents.js';
export { type AutoencoderNetwork, klNetwork, openAutoencoder, tinyNetwork, vqNetwork } from './network.js';
export { decodeTiny, encodeTiny, packLatents, tinySpecs, unpackLatents } from './tiny.js';
export {
  parseTinyConfig,
  TINY_CLASS_NAME,
  type TinyConfig,
  type TinyInput,
  tinyDownscale,
} from './tiny-config.js';
export { decodeVQ, encodeVQ, nearestEntries, quantize, vqLoss, vqSpecs } from './vq.js';
export { parseVQConfig, VQ_CLASS_NAME, type VQConfig, type VQInput, vqChannels } from './vq-config.js';
