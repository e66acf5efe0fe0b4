/** Small changes that make few pictures count for more, drawn anew for each picture and epoch. */
import { InputError } from '../errors.js';
import type { Size } from '../image/picture.js';
import type { Random } from '../random.js';

export interface AugmentOptions {
  /** Mirror left and right, every other time. Not for letters or faces that look one way. */
  flip?: boolean;
  /** Move by up to so many pixels each way; the edge is repeated. */
  shift?: number;
  /** Cut off up to so many pixels in width and height, and enlarge what is left (bilinear). */
  crop?: number;
  /** Brightness, contrast and saturation change by up to this share, 0…1. */
  colour?: number;
}

/** Every draw takes as many numbers, so that switching one change on does not alter the others. */
const DRAWS = 9;

/** @throws InputError when an option is out of its range for pictures of this side */
export function checkAugment({ shift = 0, crop = 0, colour = 0 }: AugmentOptions, size: number): void {
  const refuse = (name: string, value: number, range: string) => {
    throw new InputError(`${name} of ${value} is not possible — augment — give ${range}`);
  };
  for (const [name, value] of [
    ['shift', shift],
    ['crop', crop],
  ] as const)
    if (!Number.isInteger(value) || value < 0 || value >= size)
      refuse(name, value, `a whole number from 0 to ${size - 1}`);
  if (!(colour >= 0 && colour <= 1)) refuse('colour', colour, 'a number from 0 to 1');
}

/**
 * Writes one augmented picture in [-1, 1].
 * @param source RGB bytes [height, width, 3]
 * @param out [height, width, 3], overwritten
 * @param random a generator of this picture's own, as `new Random(seed, 'augment', epoch, index)`
 */
export function augmentInto(
  source: Uint8Array,
  { width, height }: Size,
  out: Float32Array,
  options: AugmentOptions,
  random: Random,
): void {
  const { flip = false, shift = 0, crop = 0, colour = 0 } = options;
  const u = random.uniform(DRAWS);
  const mirrored = flip && u[0] < 0.5;
  const whole = (draw: number, most: number) => Math.floor(draw * (most + 1)); // 0…most
  const dx = whole(u[1], 2 * shift) - shift;
  const dy = whole(u[2], 2 * shift) - shift;
  const cut = whole(u[3], crop);
  const left = whole(u[4], cut);
  const top = whole(u[5], cut);

  const columns = sampling(width, cut, left, dx, mirrored);
  const rows = sampling(height, cut, top, dy, false);
  for (let y = 0, at = 0; y < height; y++) {
    const [y0, y1, fy] = rows[y];
    for (let x = 0; x < width; x++, at += 3) {
      const [x0, x1, fx] = columns[x];
      for (let c = 0; c < 3; c++) {
        const upper = mix(source[(y0 * width + x0) * 3 + c], source[(y0 * width + x1) * 3 + c], fx);
        const lower = mix(source[(y1 * width + x0) * 3 + c], source[(y1 * width + x1) * 3 + c], fx);
        out[at + c] = mix(upper, lower, fy) / 127.5 - 1;
      }
    }
  }
  if (colour > 0) jitter(out.subarray(0, width * height * 3), colour, u.subarray(6, 9));
}

// A picture that is only moved keeps its very bytes.
const mix = (a: number, b: number, f: number) => (f === 0 || a === b ? a : a * (1 - f) + b * f);

/** For each output coordinate: the two source coordinates around it and the weight of the second. */
function sampling(
  size: number,
  cut: number,
  start: number,
  move: number,
  mirrored: boolean,
): [number, number, number][] {
  const scale = (size - cut) / size;
  const clamp = (v: number) => Math.max(0, Math.min(size - 1, v));
  return Array.from({ length: size }, (_, i) => {
    const seen = mirrored ? size - 1 - i : i;
    const position = start + (seen + 0.5) * scale - 0.5 + move;
    const low = Math.floor(position);
    return [clamp(low), clamp(low + 1), position - low];
  });
}

/** Brightness adds, contrast scales around the picture's mean grey, saturation around each pixel's own grey. */
function jitter(pixels: Float32Array, amount: number, u: Float32Array): void {
  const signed = (draw: number) => (2 * draw - 1) * amount;
  const brightness = signed(u[0]);
  const contrast = 1 + signed(u[1]);
  const saturation = 1 + signed(u[2]);
  const grey = (i: number) => 0.299 * pixels[i] + 0.587 * pixels[i + 1] + 0.114 * pixels[i + 2];
  let mean = 0;
  for (let i = 0; i < pixels.length; i += 3) mean += grey(i);
  mean /= pixels.length / 3;
  for (let i = 0; i < pixels.length; i += 3) {
    const own = grey(i);
    for (let c = i; c < i + 3; c++) {
      const saturated = own + (pixels[c] - own) * saturation;
      pixels[c] = Math.max(-1, Math.min(1, mean + (saturated - mean) * contrast + brightness));
    }
  }
}
