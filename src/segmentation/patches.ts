/**
 * Patches of pictures with their truth, changed at random in the same way: mirrored, turned, enlarged, bent
 * (Ronneberger et al. 2015, §3.1: smooth deformations of a coarse grid), and in colour. One map from the patch's pixels
 * to the picture's does all the movement, so pictures are resampled once.
 */
import { BatchOrder } from '../data/index.js';
import type { Feed } from '../engine/session.js';
import { Random } from '../random.js';
import { IGNORED } from './classes.js';
import type { Example } from './dataset.js';

export interface PatchAugment {
  /** Mirror left and right, every other time. */
  readonly flip: boolean;
  /** Turn by quarters too (pictures without an up and a down). */
  readonly quarters: boolean;
  /** Turn by up to so many degrees. */
  readonly rotate: number;
  /** Enlarge or shrink by up to this share. */
  readonly scale: number;
  /** Bend: standard deviation of the coarse grid's displacement, in pixels. */
  readonly elastic: number;
  /** Brightness, contrast and tint change by up to this share. */
  readonly colour: number;
}

export const noAugment: PatchAugment = {
  flip: false,
  quarters: false,
  rotate: 0,
  scale: 0,
  elastic: 0,
  colour: 0,
};

/** Mirrors at the edges, however far outside. @returns 0…n-1 */
export function reflect(i: number, n: number): number {
  if (n === 1) return 0;
  const period = 2 * (n - 1);
  const at = ((i % period) + period) % period;
  return at < n ? at : period - at;
}

/** Control points of the bending grid on a side. */
const GRID = 4;

/**
 * Cuts a patch.
 * @param centre in the picture's pixels, [x, y]
 * @param pixels [size, size, 3], filled with values in [-1, 1]
 * @param labels [size, size], filled
 */
export function cutPatch(
  example: Example,
  centre: readonly [number, number],
  size: number,
  augment: PatchAugment,
  random: Random,
  pixels: Float32Array,
  labels: Uint8Array,
): void {
  const u = random.uniform(8);
  const signed = (draw: number, most: number) => (2 * draw - 1) * most;
  const quarter = augment.quarters ? Math.floor(u[0] * 4) * 90 : 0;
  const angle = ((quarter + signed(u[1], augment.rotate)) * Math.PI) / 180;
  const zoom = 2 ** (signed(u[2], 1) * Math.log2(1 + augment.scale));
  const mirror = augment.flip && u[3] < 0.5 ? -1 : 1;
  const [cos, sin] = [Math.cos(angle) * zoom, Math.sin(angle) * zoom];
  const bend = augment.elastic > 0 ? random.fork('bend').normal(2 * GRID * GRID) : null;
  const bent = [0, 0];
  const { data, width, height } = example;
  const half = (size - 1) / 2;
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++, at++) {
      if (bend) displacement(bend, x / (size - 1), y / (size - 1), augment.elastic, bent);
      const [dx, dy] = [(x - half) * mirror + bent[0], y - half + bent[1]];
      const [sx, sy] = [centre[0] + cos * dx - sin * dy, centre[1] + sin * dx + cos * dy];
      const [x0, y0] = [Math.floor(sx), Math.floor(sy)];
      const [fx, fy] = [sx - x0, sy - y0];
      const [left, right] = [reflect(x0, width), reflect(x0 + 1, width)];
      const [top, bottom] = [reflect(y0, height) * width, reflect(y0 + 1, height) * width];
      for (let c = 0; c < 3; c++) {
        const upper = data[(top + left) * 3 + c] * (1 - fx) + data[(top + right) * 3 + c] * fx;
        const lower = data[(bottom + left) * 3 + c] * (1 - fx) + data[(bottom + right) * 3 + c] * fx;
        pixels[at * 3 + c] = (upper * (1 - fy) + lower * fy) / 127.5 - 1;
      }
      labels[at] = example.labels[(fy < 0.5 ? top : bottom) + (fx < 0.5 ? left : right)];
    }
  }
  if (augment.colour > 0) tint(pixels, augment.colour, u.subarray(4));
}

/** The grid's displacement at a point (0…1 across and down), smooth by cosine interpolation. */
function displacement(grid: Float32Array, x: number, y: number, amount: number, out: number[]): void {
  const [gx, gy] = [x * (GRID - 1), y * (GRID - 1)];
  const [ix, iy] = [Math.min(GRID - 2, Math.floor(gx)), Math.min(GRID - 2, Math.floor(gy))];
  const smooth = (t: number) => (1 - Math.cos(Math.PI * t)) / 2;
  const [fx, fy] = [smooth(gx - ix), smooth(gy - iy)];
  for (let c = 0; c < 2; c++) {
    const value = (i: number, j: number) => grid[((iy + j) * GRID + ix + i) * 2 + c];
    const upper = value(0, 0) * (1 - fx) + value(1, 0) * fx;
    const lower = value(0, 1) * (1 - fx) + value(1, 1) * fx;
    out[c] = amount * (upper * (1 - fy) + lower * fy);
  }
}

/** Contrast and a shift for each channel; half of the shift is common to all (brightness). */
function tint(pixels: Float32Array, amount: number, u: Float32Array): void {
  const contrast = 1 + (2 * u[3] - 1) * amount;
  const common = 2 * u[0] - 1;
  const shifts = [0, 1, 2].map((c) => (amount * (common + (c === 0 ? 0 : 2 * u[c] - 1))) / 2);
  for (let i = 0; i < pixels.length; i++)
    pixels[i] = Math.max(-1, Math.min(1, pixels[i] * contrast + shifts[i % 3]));
}

export interface PatchOptions {
  readonly size: number;
  readonly batchSize: number;
  readonly seed: number;
  /** Share of the patches whose middle is a pixel of a class other than the background, each class as often. */
  readonly focus: number;
  readonly augment: PatchAugment;
}

/** The patches of a step: a pure function of (seed, step, batch size) and the examples. */
export class Patches {
  private readonly order: BatchOrder;
  /** For each example and class but the background: up to some hundred of its pixels, evenly spread. */
  private readonly places: readonly (readonly (readonly number[])[])[];

  constructor(
    private readonly examples: readonly Example[],
    private readonly classes: number,
    private readonly options: PatchOptions,
  ) {
    this.order = new BatchOrder(examples.length, options.batchSize, options.seed);
    this.places = examples.map(({ labels }) => placesOf(labels, classes));
  }

  /** @param step from 1 @returns pixels in [-1, 1], [N, size, size, 3], and labels [N, size, size] */
  at(step: number): { pixels: Float32Array; labels: Uint8Array } {
    const { size, batchSize, seed, focus, augment } = this.options;
    const { indices, epochs } = this.order.at(step - 1);
    const pixels = new Float32Array(batchSize * size * size * 3);
    const labels = new Uint8Array(batchSize * size * size);
    indices.forEach((index, k) => {
      const random = new Random(seed, 'patch', epochs[k], index);
      const centre = this.centre(index, size, focus, random);
      cutPatch(
        this.examples[index],
        centre,
        size,
        augment,
        random,
        pixels.subarray(k * size * size * 3, (k + 1) * size * size * 3),
        labels.subarray(k * size * size, (k + 1) * size * size),
      );
    });
    return { pixels, labels };
  }

  /** The batch as a training step takes it: `pixels`, and `target` [N, size, size, classes], one-hot or all zero. */
  feeds(step: number): Record<string, Feed> {
    const { size, batchSize } = this.options;
    const { pixels, labels } = this.at(step);
    const target = new Float32Array(labels.length * this.classes);
    labels.forEach((label, i) => {
      if (label !== IGNORED) target[i * this.classes + label] = 1;
    });
    const shape = (channels: number) => [batchSize, size, size, channels];
    return {
      pixels: { data: pixels, shape: shape(3), dtype: 'float32' },
      target: { data: target, shape: shape(this.classes), dtype: 'float32' },
    };
  }

  private centre(index: number, size: number, focus: number, random: Random): [number, number] {
    const { width, height } = this.examples[index];
    const [chance, choice, place, x, y] = random.fork('centre').uniform(5);
    const present = this.places[index].filter((pixels) => pixels.length > 0);
    // A patch as large as the picture shows all of it anyway.
    const inside = (side: number, draw: number) =>
      side <= size ? (side - 1) / 2 : (size - 1) / 2 + draw * (side - size);
    if (present.length === 0 || chance >= focus) return [inside(width, x), inside(height, y)];
    const pixels = present[Math.floor(choice * present.length)];
    const pixel = pixels[Math.floor(place * pixels.length)];
    const clamp = (value: number, side: number) =>
      side <= size ? (side - 1) / 2 : Math.max((size - 1) / 2, Math.min(side - 1 - (size - 1) / 2, value));
    return [clamp(pixel % width, width), clamp(Math.floor(pixel / width), height)];
  }
}

const MOST_PLACES = 256;

function placesOf(labels: Uint8Array, classes: number): number[][] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) if (label !== IGNORED) counts[label]++;
  const strides = counts.map((count) => Math.max(1, Math.ceil(count / MOST_PLACES)));
  const seen = new Array<number>(classes).fill(0);
  const places: number[][] = Array.from({ length: classes }, () => []);
  labels.forEach((label, i) => {
    if (label !== 0 && label !== IGNORED && seen[label]++ % strides[label] === 0) places[label].push(i);
  });
  return places;
}
