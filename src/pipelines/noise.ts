/** Where the noise of a picture comes from: Sumi's own generator, or PyTorch's in diffusers' order. */
import { InputError } from '../errors.js';
import { Random, type StreamLabel } from '../random.js';
import { TorchRandom } from '../torch-random.js';

export const RNGS = ['sumi', 'torch'] as const;
/**
 * `sumi`: each draw has a name of its own, and none depends on another. `torch`: one generator a picture, as
 * `torch.Generator('cpu').manual_seed(seed)`, from which everything is drawn in turn.
 */
export type Rng = (typeof RNGS)[number];

/** @throws InputError for another name */
export function checkRng(rng: string): asserts rng is Rng {
  if (!(RNGS as readonly string[]).includes(rng))
    throw new InputError(`${rng} is unknown — --rng — use ${RNGS.join(' or ')}`);
}

/**
 * Draws standard normal noise of a sample's shape, [height, width, channels]. What it is for is its name, which tells
 * Sumi's draws apart; PyTorch's go by their order alone.
 */
export type DrawNoise = (...name: readonly StreamLabel[]) => Float32Array;

/**
 * The noise of one picture.
 * @param rng 'sumi' unless given
 * @param seed of the picture: that of series picture i is the series' + i, for both generators. In diffusers it is a list
 * of generators, one a picture; one generator for a whole batch draws something else but for its first picture's start
 * @param shape height, width and channels of the sample
 */
export function noiseOf(
  rng: Rng | undefined,
  seed: number,
  shape: readonly [number, number, number],
): DrawNoise {
  const length = shape[0] * shape[1] * shape[2];
  if (rng === 'torch') {
    const random = new TorchRandom(seed);
    return () => channelsLast(random.normal(length), shape);
  }
  const random = new Random(seed);
  return (...name) => random.fork(...name).normal(length);
}

/** PyTorch's [C, H, W] as [H, W, C]. */
function channelsLast(
  values: Float32Array,
  [height, width, channels]: readonly [number, number, number],
): Float32Array {
  const pixels = height * width;
  const out = new Float32Array(values.length);
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < pixels; p++) out[p * channels + c] = values[c * pixels + p];
  return out;
}
