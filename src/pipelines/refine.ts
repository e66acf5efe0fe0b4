/** A checkpoint's refiner, ready to run. */
import { Compiled, type CompileOptions } from '../engine/compile.js';
import type { Params } from '../engine/params.js';
import type { Tensor, Tensor4D } from '../engine/tf.js';
import { type RgbPicture, toBytes, toFloat } from '../image/index.js';
import { type RefinerNetwork, refine } from '../refiner/index.js';
import { asConstants } from './constants.js';

/** Makes pictures larger and sharper. Call `dispose` when done: it holds a native session. */
export class Refiner {
  private readonly compiled: Compiled;
  /** How many times larger its pictures are along a side. */
  readonly scale: number;

  constructor(network: RefinerNetwork, params: Float32Array, options: CompileOptions = {}) {
    this.scale = network.scale;
    this.compiled = new Compiled(
      ({ pictures, ...rest }: Record<string, Tensor>) => ({
        refined: refine(network, rest as Params, pictures as Tensor4D),
      }),
      { name: 'refiner', ...options, constants: asConstants(network.specs, params) },
    );
  }

  async run({ data, width, height }: RgbPicture): Promise<RgbPicture> {
    const pictures = { data: toFloat(data), shape: [1, height, width, 3], dtype: 'float32' as const };
    const { refined } = await this.compiled.run({ pictures });
    return { data: toBytes(refined as Float32Array), width: width * this.scale, height: height * this.scale };
  }

  dispose(): Promise<void> {
    return this.compiled.dispose();
  }
}
