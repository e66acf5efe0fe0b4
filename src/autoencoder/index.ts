/** diffusers' AutoencoderKL: pictures to latents and back. */
export { autoencoderSpecs, decode, encode, type Posterior } from './autoencoder.js';
export {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  type AutoencoderInput,
  downscale,
  parseAutoencoderConfig,
} from './config.js';
export { klDivergence, sampleLatents, scaleLatents, unscaleLatents } from './latents.js';
