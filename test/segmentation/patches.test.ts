import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { IGNORED } from '../../src/segmentation/classes.js';
import { type Example, splitByGroup } from '../../src/segmentation/dataset.js';
import { cutPatch, noAugment, Patches, reflect } from '../../src/segmentation/patches.js';

/** A picture whose red is 250 where the label is 1, else 0; green and blue tell the place. */
function example(
  width: number,
  height: number,
  label: (x: number, y: number) => number,
  name = 'a',
): Example {
  const labels = new Uint8Array(width * height);
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < labels.length; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    labels[i] = label(x, y);
    data.set([labels[i] * 250, x * 5, y * 5], i * 3);
  }
  return { name, group: name, width, height, data, labels };
}

const disc = (x: number, y: number) => (Math.hypot(x - 20, y - 14) < 9 ? 1 : 0);

function cut(of: Example, centre: [number, number], size: number, augment = noAugment, seed = 1) {
  const pixels = new Float32Array(size * size * 3);
  const labels = new Uint8Array(size * size);
  cutPatch(of, centre, size, augment, new Random(seed), pixels, labels);
  return { pixels, labels };
}

describe('a patch', () => {
  it('without changes holds the picture’s pixels, mirrored beyond its edges', () => {
    const of = example(40, 30, disc);
    const { pixels, labels } = cut(of, [3.5, 5.5], 16);
    for (let y = 0; y < 16; y++) {
      for (let x = 0; x < 16; x++) {
        const at = reflect(y - 2, 30) * 40 + reflect(x - 4, 40);
        expect(labels[y * 16 + x]).toBe(of.labels[at]);
        for (let c = 0; c < 3; c++)
          expect(pixels[(y * 16 + x) * 3 + c]).toBeCloseTo(of.data[at * 3 + c] / 127.5 - 1, 5);
      }
    }
  });

  it.each([
    { flip: true },
    { quarters: true },
    { rotate: 40 },
    { scale: 0.5 },
    { elastic: 3 },
    { flip: true, quarters: true, rotate: 20, scale: 0.3, elastic: 2 },
  ])('changed by %j moves pixels and labels alike', (change) => {
    const of = example(40, 30, disc);
    let moved = 0;
    for (let seed = 0; seed < 8; seed++) {
      const { pixels, labels } = cut(of, [20, 14], 24, { ...noAugment, ...change }, seed);
      let wrong = 0;
      labels.forEach((label, i) => {
        const red = (pixels[i * 3] + 1) * 127.5;
        // Between the two the pixel lies on the edge, where a label is one or the other.
        if (red < 60 && label !== 0) wrong++;
        if (red > 190 && label !== 1) wrong++;
      });
      expect(wrong).toBe(0);
      const plain = cut(of, [20, 14], 24);
      if (
        labels.some((label, i) => label !== plain.labels[i]) ||
        pixels.some((v, i) => Math.abs(v - plain.pixels[i]) > 0.01)
      )
        moved++;
    }
    expect(moved).toBeGreaterThan(3);
  });

  it('in other colours has the same labels and stays in range', () => {
    const of = example(40, 30, disc);
    const { pixels, labels } = cut(of, [20, 14], 24, { ...noAugment, colour: 0.5 });
    expect(labels).toEqual(cut(of, [20, 14], 24).labels);
    expect(pixels).not.toEqual(cut(of, [20, 14], 24).pixels);
    expect(Math.max(...pixels)).toBeLessThanOrEqual(1);
    expect(Math.min(...pixels)).toBeGreaterThanOrEqual(-1);
  });
});

describe('patches of a step', () => {
  const examples = [example(60, 60, (x, y) => (x > 50 && y > 50 ? 1 : 0)), example(50, 40, () => 0, 'b')];
  const options = {
    size: 16,
    batchSize: 4,
    seed: 3,
    focus: 1,
    augment: { ...noAugment, flip: true, rotate: 30 },
  };

  it('depend on the step alone', () => {
    const [a, b] = [new Patches(examples, 2, options), new Patches(examples, 2, options)];
    a.at(1);
    expect(a.at(5)).toEqual(b.at(5));
    expect(a.at(5).pixels).not.toEqual(a.at(6).pixels);
  });

  it('show the rare class where asked to', () => {
    const withFocus = new Patches(examples, 2, options);
    const without = new Patches(examples, 2, { ...options, focus: 0 });
    const rare = (patches: Patches) => {
      let found = 0;
      for (let step = 1; step <= 20; step++)
        for (let k = 0; k < 4; k++)
          if (
            patches
              .at(step)
              .labels.subarray(k * 256, (k + 1) * 256)
              .includes(1)
          )
            found++;
      return found;
    };
    expect(rare(withFocus)).toBe(40); // every patch of the one picture that has it
    expect(rare(without)).toBeLessThan(15);
  });

  it('are one-hot, ignored pixels all zero', () => {
    const marked = example(16, 16, (x) => (x < 8 ? 1 : x < 12 ? 0 : IGNORED));
    const { target } = new Patches([marked], 2, {
      ...options,
      focus: 0,
      batchSize: 1,
      augment: noAugment,
    }).feeds(1);
    const at = (x: number) => [...(target.data as Float32Array).subarray(x * 2, x * 2 + 2)];
    expect([at(0), at(9), at(14)]).toEqual([
      [0, 1],
      [1, 0],
      [0, 0],
    ]);
  });
});

describe('the split', () => {
  const many = Array.from({ length: 20 }, (_, i) => ({
    ...example(4, 4, () => 0),
    name: `${i}`,
    group: `g${i % 5}`,
  }));

  it('never divides a group, and holds back about the share', () => {
    const { train, validation } = splitByGroup(many, 0.2, 0);
    expect(train.length + validation.length).toBe(20);
    expect(validation.length).toBe(4);
    const groups = new Set(train.map(({ group }) => group));
    expect(validation.some(({ group }) => groups.has(group))).toBe(false);
  });

  it('cannot divide one group', () => {
    const one = many.map((e) => ({ ...e, group: 'same' }));
    expect(() => splitByGroup(one, 0.2, 0)).toThrow(/one group/);
    expect(splitByGroup(one, 0, 0).train).toHaveLength(20);
  });
});
