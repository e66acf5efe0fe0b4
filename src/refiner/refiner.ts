/**
 * The second stage: a U-Net that makes a picture of a diffusion model larger and sharper. Diffusion draws the texture, the
 * U-Net refines it: it predicts in one pass what bilinear enlargement lacks (as super-resolution by residuals does: Kim et
 * al. 2016, "Accurate image super-resolution using very deep convolutional networks"). The network is diffusers'
 * UNet2DModel at timestep 0.
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
 * @param config parsed refiner/config.json
 * @param size side of the pictures that are to be refined
 * @param unit that their sides are multiples of
 * @param where the folder it came from, for messages
 * @throws InputError when the network is not one that refines such pictures
 */
export function openRefiner(
  className: string,
  config: unknown,
  size: number,
  unit: number,
  where: string,
): RefinerNetwork {
  const refuse = (what: string, todo: string): never => {
    throw new InputError(`${what} — ${where} — ${todo}`);
  };
  if (className !== UNET2D_CLASS_NAME) refuse(`a ${className} does not refine`, `use a ${UNET2D_CLASS_NAME}`);
  const parsed = parseUNet2DConfig(config, where);
  const {
    in_channels: given,
    out_channels: made,
    sample_size: side,
    num_class_embeds,
    class_embed_type,
  } = parsed;
  if (given !== 3 || made !== 3) refuse(`${given} channels become ${made}`, 'use a network from 3 to 3');
  if (num_class_embeds !== null || class_embed_type !== null)
    refuse('a refiner with classes', 'use one without');
  if (parsed.time_embedding_type === 'fourier')
    refuse('time_embedding_type "fourier" has no embedding of timestep 0', 'use "positional"');
  const scale = typeof side === 'number' ? side / size : Number.NaN;
  if (!(Number.isInteger(scale) && scale >= 1))
    refuse(
      `sample_size ${side} is no multiple of the pictures' ${size}`,
      'use the refiner that belongs to the model',
    );
  const halvings = 2 ** (parsed.block_out_channels.length - 1);
  if ((unit * scale) % halvings !== 0)
    refuse(
      `pictures of multiples of ${unit * scale} do not halve ${Math.log2(halvings)} times`,
      'use fewer levels',
    );
  return { config: parsed, specs: unet2dSpecs(parsed), scale };
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
    return tf.add(enlarged, unet2d(config, params, enlarged, tf.zeros([n])));
  });
}
