import { describe, expect, it } from 'vitest';
import { changeOverlay, compareLabels } from '../../src/segmentation/change.js';
import type { ClassTable } from '../../src/segmentation/classes.js';
import { growMask } from '../../src/segmentation/grow.js';

const table: ClassTable = {
  classes: ['ground', 'road', 'house'].map((name, i) => ({ name, mask: i, colour: i * 0x404040 })),
  ignore: [],
};
const labels = (width: number, height: number, label: (x: number, y: number) => number) => ({
  labels: {
    width,
    height,
    data: Uint8Array.from({ length: width * height }, (_, i) => label(i % width, Math.floor(i / width))),
  },
});

describe('change', () => {
  const before = labels(20, 10, (x, y) => (y < 2 ? 1 : x < 4 ? 2 : 0));
  // A house has gone, another has come, and one pixel flickers.
  const after = labels(20, 10, (x, y) =>
    y < 2 ? 1 : x >= 12 && x < 17 && y >= 4 && y < 8 ? 2 : x === 8 && y === 8 ? 1 : 0,
  );

  it('says what became what, without flicker', () => {
    const change = compareLabels(before, after, table);
    expect(change.transitions).toEqual([
      { from: 'house', to: 'ground', pixels: 32, share: 0.16 },
      { from: 'ground', to: 'house', pixels: 20, share: 0.1 },
    ]);
    expect(change.regions).toBe(2);
    expect(change.share).toBeCloseTo(0.26, 10);
    expect(change.classes).toEqual([
      { name: 'ground', before: 128, after: 140 },
      { name: 'road', before: 40, after: 40 },
      { name: 'house', before: 32, after: 20 },
    ]);
    expect(compareLabels(before, after, table, { minArea: 1 }).regions).toBe(3);
    expect(compareLabels(before, before, table)).toMatchObject({ share: 0, regions: 0, transitions: [] });
  });

  it('is shown on the later picture', () => {
    const picture = { width: 20, height: 10, data: new Uint8Array(600).fill(100) };
    const shown = changeOverlay(picture, after.labels, compareLabels(before, after, table), table);
    const at = (x: number, y: number) => [...shown.data.subarray((y * 20 + x) * 3, (y * 20 + x) * 3 + 3)];
    expect(at(10, 1)).toEqual([100, 100, 100]);
    expect(at(12, 4)).toEqual([0x80, 0x80, 0x80]); // a new house's edge
    expect(at(0, 5)).toEqual([138, 138, 138]); // where the old one was, half through
  });

  it('needs pictures of one size', () => {
    expect(() =>
      compareLabels(
        before,
        labels(10, 10, () => 0),
        table,
      ),
    ).toThrow(/20×10 and 10×10/);
  });
});

describe('a mask', () => {
  const size = { width: 21, height: 21 };
  const disc = (r: number) =>
    Float32Array.from({ length: 441 }, (_, i) =>
      Math.hypot((i % 21) - 10, Math.floor(i / 21) - 10) <= r ? 1 : 0,
    );

  it('grows and shrinks by pixels in all directions', () => {
    expect(growMask(disc(0), size, 5)).toEqual(disc(5));
    expect(growMask(disc(5), size, 0)).toEqual(disc(5));
    const shrunk = growMask(disc(8), size, -3);
    disc(4).forEach((inside, i) => {
      if (inside) expect(shrunk[i]).toBe(1);
    });
    disc(6).forEach((inside, i) => {
      if (!inside) expect(shrunk[i]).toBe(0);
    });
    expect(growMask(new Float32Array(441), size, 3)).toEqual(new Float32Array(441));
  });
});
