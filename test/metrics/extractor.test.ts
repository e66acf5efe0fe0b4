import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Extractor } from '../../src/metrics/extractor.js';
import { perceptualDistance, psnr, ssim } from '../../src/metrics/perceptual.js';
import { Random } from '../../src/random.js';

interface Fixture {
  features: number[];
  taps: { shape: number[]; mean: number[]; rms: number }[];
}
const file = path.resolve(import.meta.dirname, '../fixtures/metrics/extractor.json');
const fixture = JSON.parse(readFileSync(file, 'utf8')) as Fixture;

/** The picture of record.py. */
function waves(side = 224) {
  const data = new Uint8Array(side * side * 3);
  for (let y = 0, at = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      for (let c = 0; c < 3; c++)
        data[at++] = Math.round(127.5 + 120 * Math.sin(y / (7 + 5 * c)) * Math.cos(x / (11 - 2 * c)));
  return { data, width: side, height: side };
}

/** |a − b| / |b| */
function relative(a: ArrayLike<number>, b: readonly number[]): number {
  const norm = (f: (i: number) => number) => Math.sqrt(b.reduce((sum, _, i) => sum + f(i) ** 2, 0));
  return norm((i) => a[i] - b[i]) / norm((i) => b[i]);
}

let extractor: Extractor;
beforeAll(async () => {
  extractor = await Extractor.open({ taps: true });
});
afterAll(() => extractor.dispose());

describe('the feature network', () => {
  it('computes what the PyTorch network does, but for weights rounded to float16', async () => {
    const { data } = await extractor.features(1, () => waves());
    expect(data).toHaveLength(320);
    expect(relative(data, fixture.features)).toBeLessThan(6e-3);
    const taps = await extractor.activations(waves());
    expect(taps).toHaveLength(5);
    taps.forEach(({ channels, data }, k) => {
      const { shape, mean, rms } = fixture.taps[k];
      expect([channels, data.length]).toEqual([shape[0], shape[0] * shape[1] * shape[2]]);
      const area = shape[1] * shape[2];
      mean.forEach((expected, c) => {
        const sum = data.subarray(c * area, (c + 1) * area).reduce((a, b) => a + b, 0);
        // Means of channels may be near 0; the activations are not.
        expect(Math.abs(sum / area - expected) / rms).toBeLessThan(0.05);
      });
      expect(Math.sqrt(data.reduce((a, b) => a + b * b, 0) / data.length) / rms).toBeCloseTo(1, 3);
    });
  });

  it('gives a picture the same features in any batch', async () => {
    const pictures = [waves(64), waves(30), waves(300)];
    const many = await extractor.features(11, (i) => pictures[i % 3]);
    const one = await extractor.features(1, () => pictures[1]);
    expect(relative(many.data.subarray(10 * 320), [...one.data])).toBeLessThan(1e-5);
  });

  it('says which network it is', () => {
    expect(extractor.identity).toMatchObject({ name: 'efficientnet-lite0', dimensions: 320 });
    expect(extractor.identity.sha256).toMatch(/^c24bf859/);
  });
});

describe('pairs of pictures', () => {
  const noisy = (strength: number) => {
    const picture = waves(64);
    const noise = new Random(1).normal(picture.data.length);
    const data = Uint8ClampedArray.from(picture.data, (x, i) => x + strength * noise[i]);
    return { ...picture, data: new Uint8Array(data.buffer) };
  };

  it('equal ones have no distance, and more noise is further', async () => {
    const clean = waves(64);
    expect(psnr(clean, clean)).toBe(Number.POSITIVE_INFINITY);
    expect(ssim(clean, clean)).toBeCloseTo(1, 12);
    expect(await perceptualDistance(extractor, clean, clean)).toBeLessThan(1e-6);
    const [a, b] = [noisy(10), noisy(40)];
    expect(psnr(clean, a)).toBeGreaterThan(psnr(clean, b));
    expect(ssim(clean, a)).toBeGreaterThan(ssim(clean, b));
    const [near, far] = [
      await perceptualDistance(extractor, clean, a),
      await perceptualDistance(extractor, clean, b),
    ];
    expect(near).toBeGreaterThan(0.01);
    expect(far).toBeGreaterThan(near);
  });

  it('PSNR and SSIM of flat pictures are what the formulas say', () => {
    const flat = (value: number) => ({
      data: new Uint8Array(16 * 16 * 3).fill(value),
      width: 16,
      height: 16,
    });
    expect(psnr(flat(100), flat(110))).toBeCloseTo(20 * Math.log10(25.5), 10);
    const c1 = (0.01 * 255) ** 2;
    expect(ssim(flat(100), flat(110))).toBeCloseTo((2 * 100 * 110 + c1) / (100 ** 2 + 110 ** 2 + c1), 8);
  });

  it('refuses pictures of two sizes', () => {
    expect(() => psnr(waves(16), waves(32))).toThrow(/16×16 and 32×32/);
  });
});
