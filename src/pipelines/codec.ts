/** Between pictures and what the U-Net works on. */
import { isOfDecoder, isOfEncoder } from '../autoencoder/index.js';
import { Compiled, type CompileOptions } from '../engine/compile.js';
import type { Params } from '../engine/params.js';
import { type Tensor, type Tensor4D, tf } from '../engine/tf.js';
import { asConstants } from './constants.js';
import { requireFinite } from './denoise.js';
import type { LoadedModel } from './model.js';

/** Between pictures and what the UNet works on: the autoencoder and its scaling, or nothing in pixel space. */
export class Codec {
  private readonly decoder: Compiled | null = null;
  private readonly encoder: Compiled | null = null;
  private spreader: Compiled | null = null;
  private puller: Compiled | null = null;
  /** Pixels along a side for one number of the sample. */
  readonly reduction: number;

  private readonly pictureChannels: number;

  constructor(
    private readonly model: Pick<LoadedModel, 'unet' | 'autoencoder'>,
    private readonly options: CompileOptions = {},
  ) {
    const { unet, autoencoder } = model;
    const network = autoencoder?.network;
    this.pictureChannels = network ? network.config.out_channels : unet.out_channels;
    this.reduction = network ? network.downscale : 1;
    if (!autoencoder || !network) return;
    this.decoder = new Compiled(
      ({ latents, ...rest }: Record<string, Tensor>) => ({
        pictures: network.decode(rest as Params, latents as Tensor4D),
      }),
      { name: 'decoder', ...options, constants: this.weights(isOfDecoder) },
    );
    this.encoder = new Compiled(
      ({ pictures, ...rest }: Record<string, Tensor>) => ({
        latents: network.encode(rest as Params, pictures as Tensor4D),
      }),
      { name: 'encoder', ...options, constants: this.weights(isOfEncoder) },
    );
  }

  /**
   * @param sample [h, w, channels]
   * @returns the picture, [h·reduction, w·reduction, 3] in about [-1, 1]; grey ones get three equal channels
   * @throws RunError when it holds NaN
   */
  async decode(sample: Float32Array, [h, w]: readonly [number, number]): Promise<Float32Array> {
    let picture = sample;
    if (this.decoder) {
      const shape = [1, h, w, sample.length / (h * w)];
      const run = await this.decoder.run({ latents: { data: sample, shape, dtype: 'float32' } });
      picture = run.pictures as Float32Array;
    }
    requireFinite(picture);
    return this.pictureChannels === 1 ? greyToRgb(picture) : picture;
  }

  /**
   * @param picture [height, width, 3] in [-1, 1]
   * @returns the sample of it that the UNet works on: the mean of the scaled latents, or the pixels themselves
   */
  async encode(picture: Float32Array, [h, w]: readonly [number, number]): Promise<Float32Array> {
    const data = this.pictureChannels === 1 ? rgbToGrey(picture) : picture;
    if (!this.encoder) return data;
    const pictures = { data, shape: [1, h, w, this.pictureChannels], dtype: 'float32' as const };
    return (await this.encoder.run({ pictures })).latents as Float32Array;
  }

  /**
   * Encodes as diffusers does, which draws latents from the autoencoder's distribution.
   * @param picture [height, width, 3] in [-1, 1]
   * @returns a function that draws a sample of it, given standard normal noise where there is a distribution
   */
  async encodeSpread(
    picture: Float32Array,
    size: readonly [number, number],
  ): Promise<(noise: () => Float32Array) => Float32Array> {
    const network = this.model.autoencoder?.network;
    if (!network?.spread) {
      const known = await this.encode(picture, size);
      return () => known;
    }
    const { spread } = network;
    this.spreader ??= new Compiled(
      ({ pictures, ...rest }: Record<string, Tensor>) => spread(rest as Params, pictures as Tensor4D),
      { name: 'encoder', ...this.options, constants: this.weights(isOfEncoder) },
    );
    const data = this.pictureChannels === 1 ? rgbToGrey(picture) : picture;
    const shape = [1, ...size, this.pictureChannels];
    const run = await this.spreader.run({ pictures: { data, shape, dtype: 'float32' } });
    const [mean, deviation] = [run.mean as Float32Array, run.deviation as Float32Array];
    return (noise) => {
      const drawn = noise();
      return mean.map((x, i) => x + deviation[i] * drawn[i]);
    };
  }

  /**
   * A gradient by the decoded picture as one by the sample: the transpose of the decoder's derivative.
   * @param sample [h, w, channels]
   * @param gradient [h·reduction, w·reduction, 3]
   * @returns [h, w, channels]
   */
  async pullBack(
    sample: Float32Array,
    gradient: Float32Array,
    [h, w]: readonly [number, number],
  ): Promise<Float32Array> {
    const network = this.model.autoencoder?.network;
    const data = this.pictureChannels === 1 ? sumOfThree(gradient) : gradient;
    if (!network) return data;
    this.puller ??= new Compiled(
      ({ latents, slopes, ...rest }: Record<string, Tensor>) => {
        const along = (z: Tensor) => tf.sum(tf.mul(network.decode(rest as Params, z as Tensor4D), slopes));
        return { gradient: tf.grad(along)(latents) };
      },
      { name: 'decoder', ...this.options, constants: this.weights(isOfDecoder) },
    );
    const side = this.reduction;
    const run = await this.puller.run({
      latents: { data: sample, shape: [1, h, w, sample.length / (h * w)], dtype: 'float32' },
      slopes: { data, shape: [1, h * side, w * side, this.pictureChannels], dtype: 'float32' },
    });
    return run.gradient as Float32Array;
  }

  /** Of the autoencoder, one of its halves. */
  private weights(ofHalf: (name: string) => boolean) {
    const { network, params } = this.model.autoencoder as NonNullable<LoadedModel['autoencoder']>;
    return asConstants(network.specs, params, ofHalf);
  }

  async dispose(): Promise<void> {
    await this.decoder?.dispose();
    await this.encoder?.dispose();
    await this.spreader?.dispose();
    await this.puller?.dispose();
  }
}

function sumOfThree(rgb: Float32Array): Float32Array {
  return Float32Array.from(
    { length: rgb.length / 3 },
    (_, i) => rgb[3 * i] + rgb[3 * i + 1] + rgb[3 * i + 2],
  );
}

function greyToRgb(grey: Float32Array): Float32Array {
  return Float32Array.from({ length: grey.length * 3 }, (_, i) => grey[Math.floor(i / 3)]);
}

/** Luma by Rec. 601, as the grey pictures of datasets are made. */
function rgbToGrey(rgb: Float32Array): Float32Array {
  return Float32Array.from(
    { length: rgb.length / 3 },
    (_, i) => 0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2],
  );
}
