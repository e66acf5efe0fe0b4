import { describe, expect, it } from 'vitest';
import { fillSmoothly, joined } from '../../src/pipelines/seam.js';
import { noisyPicture } from './pictures.js';

/** Harmonic functions of x and y, which are their neighbours' mean everywhere, up to about 100. */
const harmonic = (side: number) => {
  const scale = 100 / side;
  return [
    (x: number, _y: number) => scale * x,
    (x: number, y: number) => (scale * x * y) / side,
    (x: number, y: number) => (scale * (x * x - y * y)) / side,
  ];
};

const square = (side: number, of: (x: number, y: number, c: number) => number) =>
  Float32Array.from({ length: side * side * 3 }, (_, i) => {
    const at = Math.floor(i / 3);
    return of(at % side, Math.floor(at / side), i % 3);
  });

/** Open within a frame, but for a known island. */
const openWithin = (side: number) =>
  Uint8Array.from({ length: side * side }, (_, at) => {
    const [x, y] = [at % side, Math.floor(at / side)];
    const inside = x > 0 && y > 0 && x < side - 1 && y < side - 1;
    return inside && !(x === side >> 1 && y === side >> 2) ? 1 : 0;
  });

describe('smooth values', () => {
  it.each([5, 16, 37, 64, 150])('are those of Laplace’s equation: side %i', (side) => {
    const functions = harmonic(side);
    const wanted = square(side, (x, y, c) => functions[c](x, y));
    const open = openWithin(side);
    const values = wanted.map((v, i) => (open[Math.floor(i / 3)] ? 1e6 : v));
    fillSmoothly({ values, open, width: side, height: side });
    const off = values.reduce((most, v, i) => Math.max(most, Math.abs(v - wanted[i])), 0);
    // A grey level or two of a slope of 100.
    expect(off).toBeLessThan(2);
  });

  it('take over the only one that is known, and are 0 without any', () => {
    const [width, height] = [7, 3];
    const values = new Float32Array(width * height * 3).fill(9);
    values.set([1, 2, 3]);
    const open = new Uint8Array(width * height).fill(1);
    open[0] = 0;
    fillSmoothly({ values, open, width, height });
    expect(Array.from(values, (v) => Number(v.toFixed(3)))).toEqual(new Array(21).fill([1, 2, 3]).flat());
    fillSmoothly({ values, open: open.fill(1), width, height });
    expect(values.every((v) => v === 0)).toBe(true);
  });
});

it('a drawing in other colours, or lit from a side, comes back as the picture', () => {
  const side = 24;
  const { data } = noisyPicture(side, side);
  const picture = data.map((v) => 60 + v / 2);
  const painted = Float32Array.from(openWithin(side));
  for (const shade of [() => -40, (x: number, y: number) => 1.5 * x - y]) {
    const drawn = picture.map((v, i) => v + shade(Math.floor(i / 3) % side, Math.floor(i / 3 / side)));
    const result = joined(drawn, picture, painted, side, side);
    const off = result.reduce((most, v, i) => Math.max(most, Math.abs(v - picture[i])), 0);
    expect(off).toBeLessThan(1.5);
  }
});
