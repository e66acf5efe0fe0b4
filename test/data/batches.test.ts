import { describe, expect, it } from 'vitest';
import { augmentInto, Batches, BatchOrder, type Dataset } from '../../src/data/index.js';
import { InputError } from '../../src/errors.js';
import { Random } from '../../src/random.js';

/** Pictures whose every byte differs from its neighbours and from other pictures. */
function dataset(count: number, size = 4): Dataset {
  const pixels = Uint8Array.from({ length: count * size * size * 3 }, (_, i) => (i * 89 + (i >> 5)) % 256);
  return {
    dir: 'memory',
    size,
    count,
    pixels,
    names: Array.from({ length: count }, (_, i) => `${i}.png`),
    labels: ['a', 'b'],
    labelIds: Int32Array.from({ length: count }, (_, i) => i % 2),
    skipped: [],
    unsupported: 0,
    unlisted: 0,
    fingerprint: '',
  };
}

describe('BatchOrder', () => {
  it('shows every picture once an epoch, in another order each time', () => {
    const order = new BatchOrder(10, 4, 1);
    const shown = Array.from({ length: 5 }, (_, step) => [...order.at(step).indices]).flat();
    const sorted = (list: number[]) => [...list].sort((a, b) => a - b);
    const all = Array.from({ length: 10 }, (_, i) => i);
    expect(sorted(shown.slice(0, 10))).toEqual(all);
    expect(sorted(shown.slice(10))).toEqual(all);
    expect(shown.slice(0, 10)).not.toEqual(shown.slice(10));
    expect([...order.at(2).epochs]).toEqual([0, 0, 1, 1]);
  });

  it('depends on seed and step alone, so that resuming is exact', () => {
    const forwards = new BatchOrder(7, 3, 5);
    const straight = Array.from({ length: 20 }, (_, step) => forwards.at(step));
    const resumed = new BatchOrder(7, 3, 5);
    for (const step of [19, 0, 11, 12, 3]) expect(resumed.at(step)).toEqual(straight[step]);
    expect(new BatchOrder(7, 3, 6).at(0)).not.toEqual(straight[0]);
  });

  it('fills batches larger than the dataset', () => {
    const { indices, epochs } = new BatchOrder(2, 5, 0).at(0);
    expect([...epochs]).toEqual([0, 0, 1, 1, 2]);
    expect([...indices.subarray(0, 2)].sort()).toEqual([0, 1]);
  });

  it('refuses impossible numbers', () => {
    expect(() => new BatchOrder(0, 1, 0)).toThrow(InputError);
    expect(() => new BatchOrder(1, 0, 0)).toThrow(/batchSize/);
    expect(() => new BatchOrder(1, 1.5, 0)).toThrow(InputError);
    expect(() => new BatchOrder(1, 1, 0).at(-1)).toThrow(InputError);
  });
});

describe('Batches', () => {
  it('gives pictures in [-1, 1] with their labels', () => {
    const data = dataset(5);
    const batch = new Batches(data, { batchSize: 3, seed: 2 }).batchAt(1);
    expect(batch.pixels.length).toBe(3 * 4 * 4 * 3);
    batch.indices.forEach((index, k) => {
      expect(batch.labelIds[k]).toBe(index % 2);
      const wanted = [...data.pixels.subarray(index * 48, index * 48 + 48)].map((v) =>
        Math.fround(v / 127.5 - 1),
      );
      expect([...batch.pixels.subarray(k * 48, k * 48 + 48)]).toEqual(wanted);
    });
  });

  it('augments anew each epoch, the same way each time', () => {
    const data = dataset(1, 8);
    const options = { batchSize: 1, seed: 3, augment: { flip: true, shift: 2, crop: 2, colour: 0.2 } };
    const batches = new Batches(data, options);
    const pictures = Array.from({ length: 6 }, (_, step) => batches.batchAt(step).pixels);
    expect(new Set(pictures.map(String)).size).toBe(6);
    expect(new Batches(data, options).batchAt(4).pixels).toEqual(pictures[4]);
    for (const value of pictures.flatMap((p) => [...p])) expect(Math.abs(value)).toBeLessThanOrEqual(1);
  });

  it('refuses augmentation out of range', () => {
    for (const augment of [{ shift: 4 }, { shift: 0.5 }, { crop: -1 }, { colour: 2 }, { colour: Number.NaN }])
      expect(() => new Batches(dataset(1), { batchSize: 1, seed: 0, augment })).toThrow(InputError);
  });
});

describe('augmentInto', () => {
  const size = 5;
  const source = dataset(1, size).pixels;
  const augmented = (options: object, label: number) => {
    const out = new Float32Array(size * size * 3);
    augmentInto(source, { width: size, height: size }, out, options, new Random(0, label));
    return [...out];
  };
  /** The picture whose pixel (x, y) is the source's pixel at `from(x, y)`. */
  const moved = (from: (x: number, y: number) => [number, number]) =>
    Array.from({ length: size * size * 3 }, (_, i) => {
      const [x, y] = from(Math.floor(i / 3) % size, Math.floor(i / 3 / size));
      const clamp = (v: number) => Math.max(0, Math.min(size - 1, v));
      return Math.fround(source[(clamp(y) * size + clamp(x)) * 3 + (i % 3)] / 127.5 - 1);
    });

  it('flips about half of the pictures, exactly', () => {
    const plain = moved((x, y) => [x, y]);
    const flipped = moved((x, y) => [size - 1 - x, y]);
    let flips = 0;
    for (let i = 0; i < 100; i++) {
      const got = augmented({ flip: true }, i);
      if (String(got) === String(flipped)) flips++;
      else expect(got).toEqual(plain);
    }
    expect(flips).toBeGreaterThan(30);
    expect(flips).toBeLessThan(70);
  });

  it('shifts both ways by whole pixels, every distance alike, and repeats the edge', () => {
    const known = new Map<string, string>();
    for (const dx of [-1, 0, 1])
      for (const dy of [-1, 0, 1]) known.set(String(moved((x, y) => [x + dx, y + dy])), `${dx},${dy}`);
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 120; i++) seen.add(known.get(String(augmented({ shift: 1 }, i))));
    expect(seen.size).toBe(9);
    expect(seen.has(undefined)).toBe(false);
  });

  it('does not let one change alter the draw of another', () => {
    const flips = (options: object) =>
      Array.from(
        { length: 12 },
        (_, i) => String(augmented(options, i)) === String(moved((x, y) => [4 - x, y])),
      );
    expect(flips({ flip: true, shift: 0 })).toEqual(flips({ flip: true }));
    expect(augmented({ colour: 0.5 }, 1)).not.toEqual(augmented({}, 1));
  });

  it('leaves a picture of one colour alone when it only moves', () => {
    const flat = new Uint8Array(size * size * 3).fill(77);
    const out = new Float32Array(size * size * 3);
    augmentInto(flat, { width: size, height: size }, out, { flip: true, shift: 2, crop: 3 }, new Random(9));
    expect(new Set(out)).toEqual(new Set([Math.fround(77 / 127.5 - 1)]));
  });
});
