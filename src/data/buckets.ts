/**
 * Aspect ratio buckets: pictures that are not square are not cut to squares, but each to the nearest of a few shapes of about
 * one area, and a training step sees pictures of one shape.
 */
import type { Size } from '../image/picture.js';

/** How much longer than wide a shape may be, or wider than long. */
const LONGEST = 2;

/** A shape of fewer pictures would show the same few again and again in one step. */
const FEWEST = 8;

/** The shapes of a dataset's pictures. */
export interface Buckets {
  /** The most frequent first. */
  readonly sizes: readonly Size[];
  /** [count], each picture's index into `sizes`. */
  readonly ids: Uint8Array;
}

/**
 * Shapes whose area is at most that of a square: for each width the greatest height.
 * @param side of the square in pixels, a multiple of `unit`
 * @param unit what sides are multiples of
 */
export function bucketSizes(side: number, unit: number): Size[] {
  const sizes: Size[] = [];
  for (let width = unit; width <= side; width += unit) {
    const height = Math.floor((side * side) / width / unit) * unit;
    if (height > LONGEST * width) continue;
    sizes.push({ width, height });
    if (height > width) sizes.push({ width: height, height: width });
  }
  return sizes;
}

/** How far apart two shapes are: the logarithm of how much one has to be cut to become the other. */
const distance = (a: Size, b: Size): number =>
  Math.abs(Math.log((a.width * b.height) / (a.height * b.width)));

/** How many pictures each shape has. */
const countsOf = (sizes: readonly Size[], ids: Uint8Array): number[] =>
  sizes.map((_, id) => ids.reduce((n, own) => n + Number(own === id), 0));

/**
 * The nearest shape for each picture; shapes that few pictures are nearest to are left out.
 * @param pictures their own sizes
 */
export function intoBuckets(pictures: readonly Size[], side: number, unit: number): Buckets {
  let sizes: readonly Size[] = bucketSizes(side, unit);
  for (;;) {
    const ids = Uint8Array.from(pictures, (picture) => {
      const away = sizes.map((size) => distance(picture, size));
      return away.indexOf(Math.min(...away));
    });
    const counts = countsOf(sizes, ids);
    const fewest = Math.min(...counts);
    if (fewest >= FEWEST || sizes.length === 1) return mostFrequentFirst({ sizes, ids });
    // One after another: its pictures may make the next shape frequent enough.
    sizes = sizes.toSpliced(counts.indexOf(fewest), 1);
  }
}

/** The same buckets in order, without empty ones. */
export function mostFrequentFirst({ sizes, ids }: Buckets): Buckets {
  const counts = countsOf(sizes, ids);
  const order = [...sizes.keys()].filter((id) => counts[id] > 0).sort((a, b) => counts[b] - counts[a]);
  return { sizes: order.map((id) => sizes[id]), ids: ids.map((id) => order.indexOf(id)) };
}
