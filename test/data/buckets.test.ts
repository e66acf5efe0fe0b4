import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { intoBuckets } from '../../src/data/buckets.js';
import {
  Batches,
  BucketOrder,
  bucketSizes,
  bytesAt,
  type Dataset,
  floatPictures,
  openDataset,
  pictureAt,
} from '../../src/data/index.js';
import { InputError } from '../../src/errors.js';
import { decodeRgb, toFloat } from '../../src/image/index.js';
import { Random } from '../../src/random.js';
import { temporaryFolder, write } from './helpers.js';

const named = ({ width, height }: { width: number; height: number }) => `${width}×${height}`;

/** A picture in which every pixel is another. */
function noisy(width: number, height: number, seed: number): Promise<Buffer> {
  const bytes = Uint8Array.from(new Random(seed).uniform(width * height * 3), (u) => u * 255);
  return sharp(bytes, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** Eleven tall pictures, eight square ones, nine wide ones and one very wide one. */
async function mixed(): Promise<string> {
  const files: Record<string, Buffer | string> = { 'very-wide.png': await noisy(40, 10, 99) };
  for (let i = 0; i < 11; i++) files[`tall${i}.png`] = await noisy(13, 22, i);
  for (let i = 0; i < 8; i++) files[`square${i}.png`] = await noisy(20, 21, i);
  for (let i = 0; i < 9; i++) files[`wide${i}.png`] = await noisy(30, 18, i);
  return write(join(await temporaryFolder(), 'mixed'), files);
}

describe('bucketSizes', () => {
  it('are of multiples, of no more pixels than the square, and at most twice as long as wide', () => {
    expect(bucketSizes(64, 16).map(named)).toEqual(['48×80', '80×48', '64×64']);
    expect(bucketSizes(128, 16).map(named)).toEqual(['96×160', '160×96', '112×144', '144×112', '128×128']);
    expect(bucketSizes(32, 32).map(named)).toEqual(['32×32']);
  });
});

describe('intoBuckets', () => {
  const many = (width: number, height: number, count: number) => new Array(count).fill({ width, height });

  it('chooses the shape of which least is cut off, the most frequent first', () => {
    const pictures = [...many(300, 300, 9), ...many(300, 500, 20), ...many(1000, 900, 1), ...many(5, 3, 8)];
    const { sizes, ids } = intoBuckets(pictures, 64, 16);
    expect(sizes.map(named)).toEqual(['48×80', '64×64', '80×48']);
    expect([...ids]).toEqual([
      ...many(0, 0, 9).map(() => 1),
      ...new Array(20).fill(0),
      1,
      ...new Array(8).fill(2),
    ]);
  });

  it('leaves out shapes that few pictures have, whatever they are then nearest to', () => {
    const { sizes, ids } = intoBuckets([...many(48, 80, 7), ...many(64, 64, 8)], 64, 16);
    expect(sizes.map(named)).toEqual(['64×64']);
    expect(new Set(ids)).toEqual(new Set([0]));
    expect(intoBuckets(many(10, 30, 3), 64, 16).sizes).toHaveLength(1);
  });
});

describe('openDataset with buckets', () => {
  it('brings each picture to its shape as decoding it to that would, from the cache as well', async () => {
    const dir = await mixed();
    const cache = join(await temporaryFolder(), 'cache');
    const options = { size: 16, bucketUnit: 4, cache };
    const data = await openDataset(dir, options);
    expect(data.buckets?.sizes.map(named)).toEqual(['12×20', '20×12', '16×16']);
    for (let i = 0; i < data.count; i++) {
      const name = data.names[i];
      const size = name.includes('tall')
        ? { width: 12, height: 20 }
        : name.includes('wide')
          ? { width: 20, height: 12 }
          : { width: 16, height: 16 };
      expect(pictureAt(data, i)).toEqual(await decodeRgb(join(dir, name), { size }));
    }
    expect(await readdir(cache)).toHaveLength(1);
    expect(await openDataset(dir, options)).toEqual(data);
    const squares = await openDataset(dir, { size: 16, cache });
    expect(squares.buckets).toBeUndefined();
    expect(squares.fingerprint).not.toBe(data.fingerprint);
  });

  it('leaves a damaged picture out without moving the others', async () => {
    const dir = await mixed();
    const whole = await openDataset(dir, { size: 16, bucketUnit: 4 });
    const damaged = Array.from({ length: 12 }, (_, i) => [`cut${i}.png`, 'no picture']);
    await write(dir, { 'tall0.png': 'no picture', ...Object.fromEntries(damaged) });
    const data = await openDataset(dir, { size: 16, bucketUnit: 4 });
    expect(data.skipped).toHaveLength(13);
    // Damaged ones make no shape frequent: of squares there are now fewest.
    expect(data.buckets?.sizes.map(named)).toEqual(['12×20', '20×12', '16×16']);
    const last = (set: Dataset) => pictureAt(set, set.count - 1);
    expect(last(data)).toEqual(last(whole));
    expect(pictureAt(data, data.names.indexOf('tall5.png'))).toMatchObject({ width: 12, height: 20 });
  });
});

describe('BucketOrder', () => {
  const ids = Array.from({ length: 60 }, (_, i) => (i % 6 < 3 ? 0 : i % 6 < 5 ? 1 : 2));

  it('shows pictures of one shape a step, each as often as any other', () => {
    const order = new BucketOrder(ids, 5, 3);
    const seen = new Array(60).fill(0);
    for (let step = 0; step < 36; step++) {
      const { indices } = order.at(step);
      expect(new Set(indices.map((i) => ids[i])).size).toBe(1);
      for (const i of indices) seen[i]++;
    }
    expect(new Set(seen)).toEqual(new Set([3]));
  });

  it('is the same wherever it begins', () => {
    const through = new BucketOrder(ids, 7, 3);
    const steps = Array.from({ length: 20 }, (_, step) => through.at(step));
    expect(new BucketOrder(ids, 7, 3).at(17)).toEqual(steps[17]);
    expect(through.at(4)).toEqual(steps[4]);
    expect(() => through.at(-1)).toThrow(InputError);
    expect(() => through.at(0.5)).toThrow(InputError);
  });
});

it('a batch has the shape and the pixels of its pictures', async () => {
  const data = await openDataset(await mixed(), { size: 16, bucketUnit: 4 });
  const batches = new Batches(data, { batchSize: 3, seed: 1 });
  const shapes = new Set<string>();
  for (let step = 0; step < 9; step++) {
    const { pixels, size, indices } = batches.batchAt(step);
    shapes.add(named(size));
    expect(pixels).toEqual(floatPictures(data, indices));
    expect(pixels.subarray(0, pixels.length / 3)).toEqual(toFloat(bytesAt(data, indices[0])));
  }
  expect(shapes).toEqual(new Set(['12×20', '16×16', '20×12']));
  const augment = { flip: true, shift: 1, crop: 2 };
  expect(new Batches(data, { batchSize: 3, seed: 1, augment }).batchAt(0).pixels.every(Number.isFinite)).toBe(
    true,
  );
  expect(() => new Batches(data, { batchSize: 3, seed: 1, augment: { shift: 12 } })).toThrow(/0 to 11/);
});
