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

/**
 * Between two draws of standard normal noise along the arc from one to the other, so that what lies between has their
 * length, as all such noise has (White 2016, "Sampling generative networks", section 2.1).
 * @param t 0 to 1
 */
export function betweenNoises(from: Float32Array, to: Float32Array, t: number): Float32Array {
  if (t === 0 || t === 1) return t === 0 ? from : to;
  let [dot, a, b] = [0, 0, 0];
  for (let i = 0; i < from.length; i++) {
    dot += from[i] * to[i];
    a += from[i] ** 2;
    b += to[i] ** 2;
  }
  const angle = Math.acos(Math.min(1, Math.max(-1, dot / Math.sqrt(a * b))));
  const sine = Math.sin(angle);
  // The same noise, or its opposite, has no arc.
  const [p, q] = sine < 1e-6 ? [1 - t, t] : [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
  return from.map((x, i) => p * x + q * to[i]);
}

/**
 * Noise near that of a picture: each draw is on the arc from the picture's to another one, which the seed and the
 * variation's number choose.
 * @param draw the picture's own
 * @param variation from 0
 * @param vary how far along the arc: 0 is the picture's own noise, 1 has nothing of it
 */
export function variedNoise(draw: DrawNoise, seed: number, variation: number, vary: number): DrawNoise {
  const random = new Random(seed, 'variation', variation);
  return (...name) => {
    const own = draw(...name);
    return betweenNoises(own, random.fork(...name).normal(own.length), vary);
  };
}

/**
 * @param times how many pictures of a label there are to be
 * @throws InputError for a share outside 0 to 1, and for the same picture several times
 */
export function checkVary(vary: number, times = 1): void {
  if (!(vary >= 0 && vary <= 1))
    throw new InputError(`a variation of ${vary} is not possible — --vary — give a number from 0 to 1`);
  if (vary === 0 && times > 1)
    throw new InputError(
      `a variation of 0 is the picture itself, ${times} times — --vary — give more than 0, or --count 1`,
    );
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
