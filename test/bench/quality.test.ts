import { describe, expect, it } from 'vitest';
import { markdown, overSeeds, type Result } from '../../bench/quality/report.js';

const estimate = (value: number) => ({
  value,
  standardError: 0.001,
  low: value - 0.00196,
  high: value + 0.00196,
});

const result = (recipe: string, seed: number, kid: number): Result =>
  ({
    recipe,
    seed,
    cpuSeconds: 90,
    steps: 1200,
    loss: 0.1,
    parameters: 4_640_000,
    drawing: 'DDIMScheduler, 30 steps',
    secondsToDraw: 0.42,
    evaluation: {
      extractor: { name: 'net', sha256: 'abcdef0123456789', dimensions: 320, resize: '224×224' },
      size: 64,
      generated: { from: 'x', count: 500, of: 500 },
      real: { from: 'y', count: 2000, of: 2000 },
      kid: estimate(kid),
      fid: 12.345,
      overlap: { precision: 0.5, recall: 0.25, density: 1, coverage: 0.5 },
      floor: { of: 'real pictures against the others', count: 500, kid: estimate(0.0001), fid: 1 },
    },
  }) as unknown as Result;

describe('bench/quality', () => {
  it('gives means over seeds their interval by Student’s t', () => {
    expect(overSeeds([3])).toBeNull();
    const { mean, half } = overSeeds([1, 2, 3]) ?? { mean: 0, half: 0 };
    expect(mean).toBe(2);
    // 4.303 · 1 / √3
    expect(half).toBeCloseTo(2.4843, 3);
  });

  it('prints every measurement, the means, the floor and the network', () => {
    const results = [result('sumi', 0, 0.01), result('diffusers', 0, 0.1), result('sumi', 1, 0.012)];
    const text = markdown(results, 'data/x');
    expect(text).toContain('500 pictures of each model against 2000 of data/x (64×64).');
    expect(text).toContain(
      '| sumi | 0 | 0.010 (0.008 … 0.012) | 12.3 | 0.50 | 0.25 | 4.6 M | 1200 | 1.50 | DDIMScheduler, 30 steps, 0.42 s |',
    );
    expect(text).toMatch(/- sumi: 0\.011 ± 0\.013 over 2 seeds/);
    expect(text).not.toMatch(/- diffusers/);
    expect(text).toContain('Real pictures against each other (500): KID 0.000 (-0.002 … 0.002).');
    expect(text).toContain('Features: net abcdef012345, 320 numbers');
    const widths = text
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map((line) => line.split('|').length);
    expect(new Set(widths).size).toBe(1);
  });
});
