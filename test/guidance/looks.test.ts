/** Targets for the looks of pictures: formulas, and gradients by finite differences. */
import { describe, expect, it } from 'vitest';
import {
  gainAt,
  PaletteTarget,
  paletteDistance,
  ScribbleTarget,
  stepLength,
  type Target,
} from '../../src/guidance/index.js';
import { oklab } from '../../src/guidance/oklab.js';
import { Random } from '../../src/random.js';

const [width, height] = [9, 7];
const random = new Random(5);
const picture = random
  .fork('picture')
  .normal(width * height * 3)
  .map((x) => 0.5 * x);

/** Compares a gradient along a random direction with central differences. */
function checkGradient(target: Target, at: Float32Array) {
  const along = random.fork('along').normal(at.length);
  const step = 1e-3;
  const moved = (h: number) => target.pull(at.map((x, i) => x + h * along[i])).loss;
  const numeric = (moved(step) - moved(-step)) / (2 * step);
  const { gradient } = target.pull(at);
  const exact = gradient.reduce((sum, g, i) => sum + g * along[i], 0);
  expect(Math.abs(exact)).toBeGreaterThan(1e-4);
  expect(exact / numeric).toBeCloseTo(1, 2);
}

describe('OKLab', () => {
  // The table of colours in Ottosson's article, by sRGB's primaries.
  it.each([
    ['white', [1, 1, 1], [1, 0, 0]],
    ['black', [-1, -1, -1], [0, 0, 0]],
    ['red', [1, -1, -1], [0.62796, 0.22486, 0.12585]],
    ['green', [-1, 1, -1], [0.86644, -0.23389, 0.1795]],
    ['blue', [-1, -1, 1], [0.45201, -0.03246, -0.31153]],
  ])('of %s', (_, [r, g, b], expected) => {
    const lab = oklab(r, g, b);
    for (const [i, x] of expected.entries()) expect(lab[i]).toBeCloseTo(x, 3);
  });
});

describe('a scribble', () => {
  const colours = random.fork('colours').normal(width * height * 3);
  const weights = Float32Array.from({ length: width * height }, (_, p) => (p % width < 4 ? 1 : 0));
  const target = new ScribbleTarget({ width, height, colours, weights }, 0.5);

  it('has the gradient of finite differences', () => checkGradient(target, picture));

  it('is content with its own colours, whatever there is beside the strokes', () => {
    const own = colours.map((x, i) => (weights[Math.floor(i / 3)] ? x : picture[i]));
    const { loss, gradient } = target.pull(own);
    expect(loss).toBe(0);
    expect(gradient.every((g) => g === 0)).toBe(true);
    const { gradient: other } = target.pull(picture);
    expect(other.every((g, i) => weights[Math.floor(i / 3)] > 0 || g === 0)).toBe(true);
  });

  it('measures how far colours are off, and minds patches more than pixels', () => {
    const off = colours.map((x) => x + 0.6);
    expect(target.pull(off).loss).toBeCloseTo((3 * 0.6 ** 2) / 2, 5);
    // A checkerboard that is off by as much, finer than the blur of a large picture.
    const side = 64;
    const flat = new Float32Array(side * side * 3);
    const all = new ScribbleTarget(
      { width: side, height: side, colours: flat, weights: new Float32Array(side * side).fill(1) },
      0.5,
    );
    const board = flat.map((_, i) => ((Math.floor(i / 3) + Math.floor(i / 3 / side)) % 2 ? 0.6 : -0.6));
    expect(all.pull(board).loss).toBeLessThan(0.01 * all.pull(flat.map(() => 0.6)).loss);
  });
});

describe('a palette', () => {
  const palette = [
    [20, 30, 120],
    [250, 220, 40],
    [240, 240, 240],
  ] as const;
  const target = new PaletteTarget(palette, 0.5);
  const filled = (of: (p: number) => readonly number[]) =>
    Float32Array.from({ length: 3 * 60 }, (_, i) => of(Math.floor(i / 3))[i % 3] / 127.5 - 1);

  it('has the gradient of finite differences', () => checkGradient(target, picture));

  it('is content with a picture of its colours, and less with one of them alone', () => {
    const made = target.pull(filled((p) => palette[p % 3])).loss;
    const single = target.pull(filled(() => palette[0])).loss;
    const foreign = target.pull(filled(() => [200, 30, 30])).loss;
    expect(made).toBeLessThan(1e-9);
    expect(single).toBeGreaterThan(0.02);
    expect(foreign).toBeGreaterThan(2 * single);
  });

  it('tells how far pictures are from it', () => {
    expect(
      paletteDistance(
        filled((p) => palette[p % 3]),
        palette,
      ),
    ).toBeCloseTo(0, 6);
    // Grey is the third colour but for its lightness.
    const grey = filled(() => [240, 240, 240]).map((x) => x - 0.2);
    const lightness = (x: number) => oklab(x, x, x)[0];
    const expected = lightness(240 / 127.5 - 1) - lightness(240 / 127.5 - 1.2);
    expect(paletteDistance(grey, palette)).toBeCloseTo(expected, 4);
  });
});

describe('a step', () => {
  it('ends where a squared distance is 0', () => {
    const at = Float32Array.of(3, -2);
    const [loss, gradient] = [0.5 * (9 + 4), at];
    const length = stepLength(loss, gradient);
    expect([...at.map((x, i) => x - length * gradient[i])]).toEqual([0, 0]);
    expect(stepLength(1, new Float32Array(3))).toBe(0);
  });

  it('follows a target more where the picture is unsure and the strength is high', () => {
    expect(gainAt(0, 1)).toBe(1);
    expect(gainAt(1, 0.5)).toBe(0);
    expect(gainAt(0.5, 0.5)).toBeCloseTo(0.5 / 0.75, 10);
    expect(gainAt(0.5, 0.7)).toBeGreaterThan(gainAt(0.5, 0.5));
    expect(gainAt(0.2, 0.5)).toBeGreaterThan(gainAt(0.5, 0.5));
  });
});
