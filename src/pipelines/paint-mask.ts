/** What is painted: the mask at the picture's, the model's and the latents' size. */
import type { Region } from './region.js';

/** How much is painted at each pixel: [height, width], 0 keeps, 1 paints. */
export interface PaintMask {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** The nearest index within a row or column. */
export const clamp = (i: number, length: number): number => Math.min(Math.max(i, 0), length - 1);

/**
 * The region's mask at the model's size: a pixel is painted as much as the most painted one that it covers. Beyond
 * the picture the edge goes on, as it does for the picture's own pixels.
 * @returns [modelSide, modelSide]
 */
export function cutMask(mask: PaintMask, { left, top, side }: Region, modelSide: number): Float32Array {
  const out = new Float32Array(modelSide * modelSide);
  const scale = side / modelSide;
  const covered = (i: number): [number, number] => {
    const first = Math.floor(i * scale);
    return [first, Math.max(first + 1, Math.ceil((i + 1) * scale))];
  };
  for (let y = 0; y < modelSide; y++) {
    const [v0, v1] = covered(y);
    for (let x = 0; x < modelSide; x++) {
      const [u0, u1] = covered(x);
      let most = 0;
      for (let v = v0; v < v1; v++) {
        const row = clamp(top + v, mask.height) * mask.width;
        for (let u = u0; u < u1; u++) most = Math.max(most, mask.data[row + clamp(left + u, mask.width)]);
      }
      out[y * modelSide + x] = most;
    }
  }
  return out;
}

/**
 * Which numbers of a sample are painted: all that a painted pixel touches.
 * @param mask [side, side], above 0 is painted
 * @param reduction pixels along a side for one number of the sample
 * @param grow how many numbers further the painted part reaches. Where the picture was resized or encoded, what is to
 *   be painted has coloured its neighbours too, and they would give away what was there.
 * @returns [side / reduction, side / reduction, channels], 1 or 0
 */
export function sampleMask(
  mask: Float32Array,
  side: number,
  reduction: number,
  channels: number,
  grow: number,
): Uint8Array {
  const cells = side / reduction;
  const touched = new Uint8Array(cells * cells);
  const reach = (cell: number): [number, number] => [
    Math.max(0, cell - grow),
    Math.min(cells - 1, cell + grow),
  ];
  for (let y = 0; y < side; y++) {
    const [v0, v1] = reach(Math.floor(y / reduction));
    for (let x = 0; x < side; x++) {
      if (mask[y * side + x] <= 0) continue;
      const [u0, u1] = reach(Math.floor(x / reduction));
      for (let v = v0; v <= v1; v++) touched.fill(1, v * cells + u0, v * cells + u1 + 1);
    }
  }
  return Uint8Array.from({ length: cells * cells * channels }, (_, i) => touched[Math.floor(i / channels)]);
}

/**
 * Softens a mask's edge on its painted side only: the weight rises over `radius` pixels, counted from the kept ones,
 * or over as many as there are up to the middle of a thin part, so that a scratch is painted over whole.
 * @param radius in pixels; 0 changes nothing
 */
export function feather(mask: PaintMask, radius: number): PaintMask {
  if (radius <= 0) return mask;
  const distance = distanceToKept(mask);
  const deepest = highestNear(distance, mask, Math.ceil(radius));
  // Infinite where nothing is kept at all.
  const weight = (i: number) =>
    distance[i] === Infinity ? 1 : Math.min(1, distance[i] / Math.min(radius + 1, deepest[i] || 1));
  return { ...mask, data: mask.data.map((m, i) => m * weight(i)) };
}

/** Distance to the nearest kept pixel, in two passes over the picture (Borgefors 1986, weights 1 and √2). */
function distanceToKept({ data, width, height }: PaintMask): Float32Array {
  const distance = Float32Array.from(data, (m) => (m > 0 ? Infinity : 0));
  const relax = (i: number, x: number, y: number, dx: number, dy: number) => {
    const [u, v] = [x + dx, y + dy];
    if (u < 0 || v < 0 || u >= width || v >= height) return;
    const step = dx !== 0 && dy !== 0 ? Math.SQRT2 : 1;
    distance[i] = Math.min(distance[i], distance[v * width + u] + step);
  };
  for (const s of [-1, 1]) {
    for (let k = 0; k < width * height; k++) {
      const i = s < 0 ? k : width * height - 1 - k;
      const [x, y] = [i % width, Math.floor(i / width)];
      relax(i, x, y, s, 0);
      relax(i, x, y, 0, s);
      relax(i, x, y, s, s);
      relax(i, x, y, -s, s);
    }
  }
  return distance;
}

/** The highest value within a square of `radius` around each pixel, along rows first and columns then. */
function highestNear(values: Float32Array, { width, height }: PaintMask, radius: number): Float32Array {
  const out = values.slice();
  for (let y = 0; y < height; y++) highestOnLine(out, y * width, 1, width, radius);
  for (let x = 0; x < width; x++) highestOnLine(out, x, width, height, radius);
  return out;
}

/** One line of it, in place. A queue holds what may still be highest, falling, so that each value is looked at twice. */
function highestOnLine(values: Float32Array, first: number, stride: number, length: number, radius: number) {
  const line = Float32Array.from({ length }, (_, i) => values[first + i * stride]);
  const queue = new Int32Array(length);
  let [head, tail] = [0, 0];
  for (let i = 0; i < length + radius; i++) {
    if (i < length) {
      while (tail > head && line[queue[tail - 1]] <= line[i]) tail--;
      queue[tail++] = i;
    }
    const at = i - radius;
    if (at < 0) continue;
    if (queue[head] < at - radius) head++;
    values[first + at * stride] = line[queue[head]];
  }
}
