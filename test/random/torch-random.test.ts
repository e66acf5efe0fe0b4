import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TorchRandom } from '../../src/torch-random.js';

interface Recorded {
  runs: { seed: number; draws: number[][] }[];
  far: { seed: number; length: number; last: number[] };
}
const { runs, far }: Recorded = JSON.parse(
  readFileSync(new URL('../fixtures/random/torch.json', import.meta.url), 'utf8'),
);

/** What torch's vectorized functions may differ by from exact ones, in float32. */
const CLOSE = 2e-6;

const furthest = (a: Float32Array, b: readonly number[]) => {
  expect(a.length).toBe(b.length);
  return Math.max(...b.map((x, i) => Math.abs(x - a[i])));
};

describe('TorchRandom', () => {
  it.each(runs)('draws what torch draws from seed $seed', ({ seed, draws }) => {
    const random = new TorchRandom(seed);
    for (const draw of draws) expect(furthest(random.normal(draw.length), draw)).toBeLessThan(CLOSE);
  });

  it('goes on rightly when its state is used up', () => {
    const numbers = new TorchRandom(far.seed).normal(far.length);
    expect(furthest(numbers.slice(-far.last.length), far.last)).toBeLessThan(CLOSE);
  });
});
