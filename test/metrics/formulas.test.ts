/** Against fixtures that test/fixtures/metrics/record.py recorded from numpy, and against what is known. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { memorisationOf } from '../../src/metrics/closest.js';
import type { Matrix } from '../../src/metrics/extractor.js';
import { extrapolatedDistance, Frechet, frechetDistance } from '../../src/metrics/frechet.js';
import { kernelDistance } from '../../src/metrics/kid.js';
import { overlap } from '../../src/metrics/manifold.js';
import { nearest, precedenceTail, quantile, suspicion } from '../../src/metrics/memorisation.js';
import type { PictureSet } from '../../src/metrics/picture-set.js';
import { Random } from '../../src/random.js';

interface Case {
  generated: number[][];
  real: number[][];
  kid: number;
  kid_standard_error: number;
  fid: number;
  precision: number;
  recall: number;
  density: number;
  coverage: number;
  nearest: number[];
}
const file = path.resolve(import.meta.dirname, '../fixtures/metrics/formulas.json');
const cases = JSON.parse(readFileSync(file, 'utf8')) as Case[];
const matrix = (rows: number[][]): Matrix => ({
  rows: rows.length,
  columns: rows[0].length,
  data: Float32Array.from(rows.flat()),
});
const close = (actual: number, expected: number) =>
  expect(Math.abs(actual - expected) / Math.abs(expected)).toBeLessThan(1e-6);
const gaussian = (seed: number, rows: number, columns: number, shift = 0): Matrix => ({
  rows,
  columns,
  data: new Random(seed).normal(rows * columns).map((x) => x + shift),
});

describe.each(cases.map((c, i) => [`fixture ${i}`, c] as const))('%s', (_, c) => {
  const [generated, real] = [matrix(c.generated), matrix(c.real)];

  it('KID and its standard error', () => {
    const { value, standardError, low, high } = kernelDistance(generated, real);
    close(value, c.kid);
    close(standardError, c.kid_standard_error);
    close(high - low, 2 * 1.96 * standardError);
  });

  it('FID', () => close(frechetDistance(generated, real), c.fid));

  it('precision, recall, density, coverage', () => {
    const got = overlap(real, generated, 3, 3);
    for (const name of ['precision', 'recall', 'density', 'coverage'] as const)
      expect(got[name]).toBeCloseTo(c[name], 12);
  });

  it('nearest pictures', () => {
    nearest(generated, real).distance.forEach((d, i) => {
      close(d, c.nearest[i]);
    });
  });
});

describe('KID', () => {
  it('of sets from one distribution has 0 in its interval about 19 times of 20', () => {
    let inside = 0;
    for (let seed = 0; seed < 200; seed++) {
      const { low, high } = kernelDistance(gaussian(seed, 30, 6), gaussian(seed + 1000, 40, 6));
      if (low <= 0 && high >= 0) inside++;
    }
    // The jackknife is a little careful where the truth is 0.
    expect(inside).toBeGreaterThan(180);
  });

  it('has the true distance of different distributions in its interval', () => {
    // E (x·y + 1)³ for independent normal numbers of variance 1 and means a and b.
    const k = (a: number, b: number) =>
      1 + 3 * a * b + 3 * (a * a + 1) * (b * b + 1) + (a ** 3 + 3 * a) * (b ** 3 + 3 * b);
    const truth = k(0, 0) + k(0.5, 0.5) - 2 * k(0, 0.5);
    let inside = 0;
    for (let seed = 0; seed < 200; seed++) {
      const { low, high } = kernelDistance(gaussian(seed, 100, 1), gaussian(seed + 1000, 100, 1, 0.5));
      if (low <= truth && truth <= high) inside++;
    }
    expect(inside).toBeGreaterThan(170);
    expect(inside).toBeLessThan(200);
  });
});

describe('FID', () => {
  it('of a set against itself is 0, also where it has fewer pictures than dimensions', () => {
    for (const rows of [12, 60]) {
      const set = gaussian(1, rows, 20);
      expect(Math.abs(frechetDistance(set, set))).toBeLessThan(1e-5);
    }
  });

  it('of few pictures is too large, and FID∞ takes that back', () => {
    const set = gaussian(2, 300, 16);
    const frechet = new Frechet(gaussian(1, 20_000, 16));
    const fid = frechet.distance(set);
    const { value, standardError } = extrapolatedDistance(frechet, set, new Random(0));
    expect(fid).toBeGreaterThan(0.2);
    expect(Math.abs(value)).toBeLessThan(fid / 3);
    expect(standardError).toBeGreaterThan(0);
  });
});

describe('precision and recall', () => {
  it('tell a model that draws one kind only from one that draws noise', () => {
    const real = gaussian(1, 200, 4);
    const noise = new Random(3).normal(real.data.length);
    const few = { ...real, data: real.data.map((_, i, all) => all[i % 8] + 1e-3 * noise[i]) };
    const collapsed = overlap(real, few);
    expect(collapsed.precision).toBe(1);
    expect(collapsed.recall).toBeLessThan(0.05);
    const wide = overlap(real, { ...real, data: gaussian(4, 200, 4).data.map((x) => 5 * x) }, 3);
    expect(wide.precision).toBeLessThan(0.3);
    expect(wide.recall).toBeGreaterThan(0.9);
  });
});

describe('memorisation', () => {
  const train = gaussian(1, 400, 6);
  const held = nearest(gaussian(2, 400, 6), train).distance;

  it('does not suspect new pictures', () => {
    const found = suspicion(nearest(gaussian(3, 300, 6), train).distance, held);
    expect(found.memorises).toBe(false);
    expect(found).toMatchObject({ compared: 400, allowed: 4 });
    expect(found.expected).toBeCloseTo((300 * 4) / 401, 12);
  });

  it('finds copies among new pictures', () => {
    const copies = gaussian(3, 300, 6);
    copies.data.set(train.data.subarray(0, 20 * 6).map((x) => x + 1e-3));
    const found = suspicion(nearest(copies, train).distance, held);
    expect(found.suspicious).toBeGreaterThanOrEqual(20);
    expect(found.memorises).toBe(true);
  });

  it('leaves a picture itself out among its own kind', () => {
    const own = nearest(train, train, (i) => i);
    expect([...own.index].every((j, i) => j !== i)).toBe(true);
    expect(Math.min(...own.distance)).toBeGreaterThan(0);
  });

  it('gives a false alarm about once in a thousand, however few pictures there are to compare with', () => {
    for (const compared of [30, 150, 1000]) {
      let alarms = 0;
      for (let seed = 0; seed < 500; seed++) {
        const random = new Random(seed, 'alarms', compared);
        const uniform = (n: number) => Float64Array.from(random.uniform(n));
        if (suspicion(uniform(500), uniform(compared)).memorises) alarms++;
      }
      expect(alarms, `${compared} compared`).toBeLessThan(5);
    }
  });

  it('knows the law of how many come before the r-th of others', () => {
    // All orders of 4 and 5 things, by which places the 4 have.
    const [n, m] = [4, 5];
    for (const r of [1, 2, 5]) {
      const counts = new Array<number>(n + 1).fill(0);
      let orders = 0;
      for (let mask = 0; mask < 2 ** (n + m); mask++) {
        const ours = Array.from({ length: n + m }, (_, i) => ((mask >> i) & 1) === 1);
        if (ours.filter(Boolean).length !== n) continue;
        let [before, others] = [0, 0];
        for (const own of ours) {
          if (!own && ++others === r) break;
          if (own) before++;
        }
        counts[before]++;
        orders++;
      }
      for (let k = 0; k <= n; k++) {
        const expected = counts.slice(k).reduce((a, b) => a + b, 0) / orders;
        expect(precedenceTail(n, m, r, k)).toBeCloseTo(expected, 12);
      }
    }
    expect(precedenceTail(200_000, 1000, 10, 0)).toBeCloseTo(1, 10);
    expect(precedenceTail(500, 1000, 10, 400)).toBeGreaterThan(0);
    expect(precedenceTail(500, 1000, 10, 400)).toBeLessThan(1e-50);
  });

  it('leaves pictures that the data have twice out of the comparison', () => {
    const twice = { ...train, data: train.data.slice() };
    twice.data.set(train.data.subarray(0, 100 * 6), 100 * 6);
    const set = (features: Matrix) => ({
      set: { from: 'data', names: [...Array(features.rows).keys()].map(String) } as unknown as PictureSet,
      features,
    });
    const random = new Random(0);
    const found = memorisationOf(set(twice), set(gaussian(3, 300, 6)), undefined, random);
    expect(found).toMatchObject({ twins: 200, compared: 200, memorises: false });
    expect(found.threshold).toBeGreaterThan(0);
    expect(found.pairs[0].distance).toBe(Math.min(...found.pairs.map(({ distance }) => distance)));
    expect(() => memorisationOf(set(train), set(gaussian(3, 300, 6)), set(train), random)).toThrow(
      /all among those that were trained on — data/,
    );
  });

  it('knows quantiles', () => {
    expect(quantile(Float64Array.of(1, 2, 4), 0.75)).toBe(3);
  });
});
