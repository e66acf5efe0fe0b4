/** Parts of a mask that hang together, and touching things told apart. */
import type { Size } from '../image/index.js';

/** [height, width], the number of each pixel's region, from 1; 0 where there is none. */
export interface Regions extends Size {
  readonly data: Int32Array;
  readonly count: number;
}

/** Numbers regions of pixels that touch by a side or a corner, in the order of their first pixels. */
export function connectedRegions(member: Uint8Array, { width, height }: Size): Regions {
  const data = new Int32Array(width * height);
  const waiting: number[] = [];
  let count = 0;
  for (let start = 0; start < data.length; start++) {
    if (!member[start] || data[start]) continue;
    data[start] = ++count;
    waiting.push(start);
    while (waiting.length > 0) {
      for (const next of neighbours(waiting.pop() as number, width, height)) {
        if (!member[next] || data[next]) continue;
        data[next] = count;
        waiting.push(next);
      }
    }
  }
  return { data, width, height, count };
}

/** The up to eight pixels around one. */
function neighbours(at: number, width: number, height: number): number[] {
  const [x, y] = [at % width, Math.floor(at / width)];
  const found: number[] = [];
  for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++)
    for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++)
      if (u !== x || v !== y) found.push(v * width + u);
  return found;
}

/**
 * Exact Euclidean distance of each member pixel to the nearest pixel that is none (Felzenszwalb & Huttenlocher 2012:
 * lower envelopes of parabolas, first down, then across). Infinite where there is no such pixel.
 */
export function distanceTransform(member: Uint8Array, { width, height }: Size): Float32Array {
  const squared = Float64Array.from(member, (m) => (m ? Number.POSITIVE_INFINITY : 0));
  for (let x = 0; x < width; x++) envelope(squared, x, width, height);
  for (let y = 0; y < height; y++) envelope(squared, y * width, 1, width);
  return Float32Array.from(squared, Math.sqrt);
}

/** In place: min over q of (p - q)² + f(q) along one line. */
function envelope(f: Float64Array, offset: number, stride: number, n: number): void {
  const at: number[] = [];
  const from: number[] = [];
  const height: number[] = [];
  for (let q = 0; q < n; q++) {
    const value = f[offset + q * stride];
    if (value === Number.POSITIVE_INFINITY) continue;
    let start = Number.NEGATIVE_INFINITY;
    while (at.length > 0) {
      const last = at.length - 1;
      start = (value + q * q - height[last] - at[last] * at[last]) / (2 * (q - at[last]));
      if (start > from[last]) break;
      for (const list of [at, from, height]) list.pop();
      start = Number.NEGATIVE_INFINITY;
    }
    at.push(q);
    from.push(start);
    height.push(value);
  }
  if (at.length === 0) return;
  for (let p = 0, k = 0; p < n; p++) {
    while (k + 1 < at.length && from[k + 1] < p) k++;
    f[offset + p * stride] = (p - at[k]) ** 2 + height[k];
  }
}

/** How much narrower than the smaller of two parts the neck between them is, at least, for them to be two. */
export const NECK = 0.2;

/**
 * Divides regions where things touch: a watershed of the distance to the edge (Vincent & Soille 1991), flooded from the
 * middles outwards. Two basins that meet are one thing if the way from the lower middle to where they meet is less than
 * `neck` of that middle's distance, as with dents of one outline.
 * @param neck 0…1: the larger, the fewer divisions; 1 divides nothing
 */
export function splitTouching(member: Uint8Array, size: Size, neck = NECK): Regions {
  const { width, height } = size;
  const distance = distanceTransform(member, size);
  const order = Array.from(member.keys()).filter((i) => member[i]);
  order.sort((a, b) => distance[b] - distance[a] || a - b);
  const basin = new Int32Array(member.length);
  /** Of each basin: the one that it has become part of, itself if none, and the distance at its middle. */
  const parent = [0];
  const peak = [0];
  const root = (i: number): number => {
    while (parent[i] !== i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (const at of order) {
    const met = new Set<number>();
    for (const next of neighbours(at, width, height)) if (basin[next]) met.add(root(basin[next]));
    const [highest, ...others] = [...met].sort((a, b) => peak[b] - peak[a] || a - b);
    if (highest === undefined) {
      parent.push(parent.length);
      peak.push(distance[at]);
      basin[at] = parent.length - 1;
      continue;
    }
    basin[at] = highest;
    // A whole pixel more: distances on a grid go up and down by less than that by themselves.
    for (const other of others)
      if (peak[other] - distance[at] < Math.max(1, neck * peak[other])) parent[other] = highest;
  }
  const numbers = new Map<number, number>();
  const data = basin.map((b) => {
    if (b === 0) return 0;
    const r = root(b);
    if (!numbers.has(r)) numbers.set(r, numbers.size + 1);
    return numbers.get(r) as number;
  });
  return { data, width, height, count: numbers.size };
}
