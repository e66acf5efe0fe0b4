/** The network that a diffusion stage trains. */
import type { AutoencoderNetwork } from '../autoencoder/index.js';
import { InputError } from '../errors.js';
import type { Size } from '../image/index.js';
import {
  CONDITION_CLASS_NAME,
  fillingChannels,
  openUNet,
  UNET2D_CLASS_NAME,
  type UNetNetwork,
} from '../unet/index.js';
import type { TrainConfig } from './config.js';

/** `_class_name` of a configuration's network: UNet2DModel unless it says otherwise. */
export const classOf = (model: Readonly<Record<string, unknown>>): string =>
  typeof model._class_name === 'string' ? model._class_name : UNET2D_CLASS_NAME;

/** What the sides of pictures are multiples of, for the network of a configuration and the autoencoder before it. */
export const pictureUnit = (config: TrainConfig, autoencoder: AutoencoderNetwork | null): number =>
  denoiserFor(config, autoencoder, 0).unit * (autoencoder?.downscale ?? 1);

/**
 * The network for the data: its channels, size and classes are filled in.
 * @param autoencoder what makes its latents; null: it works on pixels
 * @param where the settings came from, for messages
 * @param shape of the pictures that it draws unless told otherwise; default squares of the configuration's size
 * @param labels how many the data have; a network that is told texts has no classes
 * @throws InputError when the network cannot be one of such data
 */
export function denoiserFor(
  { size, diffusion: { model, inpaint } }: TrainConfig,
  autoencoder: AutoencoderNetwork | null,
  labels: number,
  where = 'the configuration',
  shape: Size = { width: size, height: size },
): UNetNetwork {
  const className = classOf(model);
  const channels = autoencoder?.latentChannels ?? 3;
  const reduction = autoencoder?.downscale ?? 1;
  // One more class than there are labels stands for "no label".
  const classes =
    className === CONDITION_CLASS_NAME ? {} : { num_class_embeds: labels > 0 ? labels + 1 : null };
  const config = {
    ...model,
    in_channels: inpaint ? fillingChannels(channels) : channels,
    out_channels: channels,
    ...classes,
  };
  const open = (sample: number | [number, number] | null) =>
    openUNet(className, { ...config, sample_size: sample }, `${where}: diffusion.model`);
  const unit = open(null).unit * reduction;
  if (size % unit !== 0) {
    const near = Math.max(unit, Math.round(size / unit) * unit);
    throw new InputError(
      `size ${size} is not a multiple of ${unit}, which this network's halvings need — ${where} — use ${near}`,
    );
  }
  const [height, width] = [shape.height / reduction, shape.width / reduction];
  return open(height === width ? height : [height, width]);
}
