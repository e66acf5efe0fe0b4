/** What a network that learns to fill in sees of its pictures: random holes, and what is around them. */
import type { CompileOptions } from '../engine/compile.js';
import type { Feed } from '../engine/session.js';
import { Codec } from '../pipelines/codec.js';
import { beside } from '../pipelines/denoise.js';
import { keptChannels } from '../pipelines/fill-in.js';
import type { LoadedModel } from '../pipelines/model.js';
import type { Random } from '../random.js';
import type { UNetNetwork } from '../unet/index.js';
import { randomHole } from './holes.js';

export class Surroundings {
  private readonly codec: Codec;

  /**
   * @param autoencoder what makes the network's samples; null: they are pixels
   * @param side of the pictures in pixels
   * @param random what the holes are drawn from, a stream for each step and picture
   */
  constructor(
    unet: UNetNetwork['config'],
    autoencoder: LoadedModel['autoencoder'],
    private readonly side: number,
    private readonly random: Random,
    { engine, threads }: CompileOptions,
  ) {
    this.codec = new Codec({ unet, autoencoder }, { engine, threads });
  }

  /**
   * Lays a hole's mask, and the sample of the picture with the hole in it, beside each noisy sample.
   * @param feeds of `Noising.batch`: `sample` [N, h, w, C]
   * @param picture the batch's picture k, [side, side, 3] in [-1, 1]
   * @param step from 1
   * @returns the feeds with `sample` [N, h, w, 2·C + 1]
   */
  async beside(
    feeds: Record<string, Feed>,
    picture: (k: number) => Float32Array,
    step: number,
  ): Promise<Record<string, Feed>> {
    const { sample } = feeds;
    const [n, h, w, c] = sample.shape;
    const channels = new Float32Array(n * h * w * (c + 1));
    for (let k = 0; k < n; k++) {
      const hole = randomHole(this.random.fork(step, k), this.side);
      channels.set(await keptChannels(this.codec, picture(k), hole, this.side), k * h * w * (c + 1));
    }
    const data = beside(sample.data as Float32Array, channels, n * h * w);
    return { ...feeds, sample: { ...sample, data, shape: [n, h, w, 2 * c + 1] } };
  }

  dispose(): Promise<void> {
    return this.codec.dispose();
  }
}
