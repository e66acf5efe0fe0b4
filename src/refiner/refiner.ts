/**
 * The second stage: a U-Net that makes a picture of a diffusion model larger and sharper. Diffusion draws the texture, the
 * U-Net refines it: it predicts in one pass what bilinear enlargement lacks (as super-resolution by residuals does: Kim et
 * al. 2016, "Accurate image super-resolution using very deep convolutional networks"). The network is diffusers' UNet2DModel
 * at timestep 0, of the smaller picture's size; its channels are the larger one's pixels.
 */
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor4D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import {
  parseUNet2DConfig,
  UNET2D_CLASS_NAME,
  type UNet2DConfig,
  unet2d,
  unet2dSpecs,
} from '../unet/index.js';

export interface RefinerNetwork {
  readonly config: UNet2DConfig;
  readonly specs: readonly ParamSpec[];
  /** How many times larger its pictures are along a side. */
  readonly scale: number;
}

/**
 * The refiner of a checkpoint.
 * @param className `_class_name` of its config
 * @param config parsed refiner/config.json; its out_channels are 3·scale², the pixels that become of one
 * @param unit that the sides of the pictures to be refined are multiples of
 * @param where the folder it came from, for messages
 * @throws InputError when the network is not one that refines such pictures
 */
export function openRefiner(className: string, config: unknown, unit: number, where: string): RefinerNetwork {
  const refuse = (what: string, todo: string): never => {
    throw new InputError(`${what} — ${where} — ${todo}`);
  };
  if (className !== UNET2D_CLASS_NAME) refuse(`a ${className} does not refine`, `use a ${UNET2D_CLASS_NAME}`);
  const parsed = parseUNet2DConfig(config, where);
  const { in_channels: given, out_channels: made, num_class_embeds, class_embed_type } = parsed;
  const scale = Math.sqrt(made / 3);
  if (given !== 3 || !Number.isInteger(scale))
    refuse(`${given} channels become ${made}`, 'use a network from 3 channels to 3·scale²');
  if (num_class_embeds !== null || class_embed_type !== null)
    refuse('a refiner with classes', 'use one without');
  if (parsed.time_embedding_type === 'fourier')
    refuse('time_embedding_type "fourier" has no embedding of timestep 0', 'use "positional"');
  const halvings = 2 ** (parsed.block_out_channels.length - 1);
  if (unit % halvings !== 0)
    refuse(`pictures of multiples of ${unit} do not halve ${Math.log2(halvings)} times`, 'use fewer levels');
  return { config: parsed, specs: unet2dSpecs(parsed), scale };
}

/** The channels of each pixel as a block of scale² pixels (Shi et al. 2016, sub-pixel convolution): [N, H, W, 3·scale²]. */
function pixelsOf(x: Tensor4D, scale: number): Tensor4D {
  const [n, h, w] = x.shape;
  const blocks = tf.transpose(tf.reshape(x, [n, h, w, scale, 3 * scale]), [0, 1, 3, 2, 4]);
  return tf.reshape(blocks, [n, h * scale, w * scale, 3]);
}

/**
 * @param params by the names of `specs`
 * @param pictures [N, H, W, 3] in [-1, 1]
 * @returns [N, scale·H, scale·W, 3], about [-1, 1]; differentiable
 */
export function refine({ config, scale }: RefinerNetwork, params: Params, pictures: Tensor4D): Tensor4D {
  const [n, h, w] = pictures.shape;
  return tf.tidy(() => {
    const enlarged = tf.image.resizeBilinear(pictures, [scale * h, scale * w], false, true);
    return tf.add(enlarged, pixelsOf(unet2d(config, params, pictures, tf.zeros([n])), scale));
  });
}
