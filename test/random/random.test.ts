import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { philox4x32, Random } from '../../src/random.js';

function philox(counter: number[], key: number[]): string {
  const out = new Uint32Array(4);
  philox4x32(counter[0], counter[1], counter[2], counter[3], key[0], key[1], out);
  return [...out].map((w) => w.toString(16).padStart(8, '0')).join(' ');
}

const mean = (x: ArrayLike<number>) => Array.from(x).reduce((a, b) => a + b, 0) / x.length;
function correlation(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, v, i) => sum + v * b[i], 0) / a.length;
}

describe('Philox4x32-10', () => {
  it('gives the known answers of Random123', () => {
    expect(philox([0, 0, 0, 0], [0, 0])).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
    const ones = 0xffffffff;
    expect(philox([ones, ones, ones, ones], [ones, ones])).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
    const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
    expect(philox(pi, [0xa4093822, 0x299f31d0])).toBe('d16cfe09 94fdcceb 5001e420 24126ea1');
  });
});

describe('Random', () => {
  it('gives the same numbers however many are drawn at once', () => {
    const whole = new Random(7);
    const parts = new Random(7);
    for (const kind of ['uniform', 'normal'] as const) {
      const joined = [3, 0, 5, 1, 2, 9].flatMap((n) => [...parts[kind](n)]);
      expect(joined).toEqual([...whole[kind](20)]);
    }
  });

  it('keeps its kinds apart: drawing one does not move another', () => {
    const plain = new Random(7);
    const mixed = new Random(7);
    mixed.uniform(5);
    mixed.int(10);
    expect([...mixed.normal(9)]).toEqual([...plain.normal(9)]);
  });

  it('gives numbers of the right distribution', () => {
    const n = 200_000;
    const u = new Random(1).uniform(n);
    expect(u.every((v) => v >= 0 && v < 1)).toBe(true);
    expect(mean(u)).toBeCloseTo(0.5, 2);
    const z = new Random(1).normal(n);
    const moment = (k: number) => mean(z.map((v) => v ** k));
    expect(Math.abs(moment(1))).toBeLessThan(0.01);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.015);
    expect(Math.abs(moment(3))).toBeLessThan(0.03);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.08);
    expect(z.filter((v) => Math.abs(v) < 1.959964).length / n).toBeCloseTo(0.95, 2);
    // Both halves of a Box–Muller pair are independent.
    expect(Math.abs(correlation(z.subarray(0, n - 1), z.subarray(1)))).toBeLessThan(0.01);
  });

  it('has independent streams by seed, label and fork', () => {
    const n = 20_000;
    const generators = [
      new Random(3),
      new Random(4),
      new Random(2n ** 32n + 3n), // differs from 3 in the high word of the key alone
      new Random(3, 'a'),
      new Random(3, 1),
      new Random(3, '1'),
      new Random(3, 'a', 'b'),
      new Random(3, 'ab'),
    ];
    const draws = generators.map((g) => g.normal(n));
    for (let i = 0; i < draws.length; i++)
      for (let j = 0; j < i; j++) expect(Math.abs(correlation(draws[i], draws[j]))).toBeLessThan(0.035);
    const parent = new Random(3, 'a');
    parent.normal(11);
    expect([...parent.fork('b').normal(5)]).toEqual([...draws[6].subarray(0, 5)]);
  });

  it('goes on bit for bit from a state that went through JSON', () => {
    const a = new Random(2n ** 63n + 5n, 'train', 3);
    a.normal(7);
    a.uniform(2);
    a.permutation(5);
    const b = Random.fromState(JSON.parse(JSON.stringify(a.state())));
    expect([...b.normal(6)]).toEqual([...a.normal(6)]);
    expect([...b.uniform(6)]).toEqual([...a.uniform(6)]);
    expect([...b.permutation(9)]).toEqual([...a.permutation(9)]);
    expect(b.state()).toEqual(a.state());
  });

  it('continues past 2^34 draws, where the block counter needs its second word', () => {
    const at = 2 ** 34 - 2;
    const state = { seed: '7', stream: [], drawn: { uniform: at, normal: 0, int: 0 } };
    const [a, b, c, d] = Random.fromState(state).uniform(4);
    expect([a, b]).not.toEqual([c, d]);
    expect([...new Random(7).uniform(2)]).not.toEqual([c, d]); // not wrapped around to the start
    const words = new Uint32Array(4);
    const r = new Random(7) as unknown as { streamWords: [number, number] };
    philox4x32(0, 1, r.streamWords[0], r.streamWords[1], 7, 0, words);
    expect(c).toBe((words[0] >>> 8) * 2 ** -24);
  });

  it('draws integers below a bound, all equally often', () => {
    const r = new Random(5);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) counts[r.int(6)]++;
    for (const c of counts) expect(Math.abs(c - 10_000)).toBeLessThan(450);
    expect(r.int(1)).toBe(0);
    expect(r.int(2 ** 32)).toBeLessThan(2 ** 32);
    // Just above 2^31 almost half of all words are rejected: modulo alone would favour small values.
    let low = 0;
    for (let i = 0; i < 20_000; i++) low += Number(r.int(3 * 2 ** 30) < 2 ** 30);
    expect(Math.abs(low / 20_000 - 1 / 3)).toBeLessThan(0.015);
  });

  it('permutes: each number once, each order equally often', () => {
    const r = new Random(9);
    expect([...r.permutation(100)].sort((a, b) => a - b)).toEqual([...Array(100).keys()]);
    expect([...r.permutation(0)]).toEqual([]);
    const seen = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const key = r.permutation(3).join('');
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    for (const c of seen.values()) expect(Math.abs(c - 1000)).toBeLessThan(150);
  });

  it('keeps its numbers from one release to the next', () => {
    expect([...new Random(0).uniform(4)]).toMatchInlineSnapshot(`
      [
        0.5613127946853638,
        0.7197095155715942,
        0.9061102271080017,
        0.1663203239440918,
      ]
    `);
    expect([...new Random(0).normal(4)]).toMatchInlineSnapshot(`
      [
        -1.0729237794876099,
        -0.5750433206558228,
        -0.029948407784104347,
        -0.7591212391853333,
      ]
    `);
    const r = new Random(42, 'noise', 1);
    expect([...r.normal(2), r.int(1000), r.int(1000)]).toMatchInlineSnapshot(`
      [
        -3.0092506408691406,
        0.02316519059240818,
        248,
        212,
      ]
    `);
  });

  it('takes negative seeds modulo 2^64', () => {
    expect([...new Random(-1).uniform(3)]).toEqual([...new Random(2n ** 64n - 1n).uniform(3)]);
  });

  it('draws a million normals quickly', () => {
    new Random(0).normal(100_000);
    const times = [1, 2, 3].map((seed) => {
      const start = performance.now();
      new Random(seed).normal(1_000_000);
      return performance.now() - start;
    });
    if (process.env.SUMI_DEBUG) console.log('1M normals, ms:', times);
    expect(Math.min(...times)).toBeLessThan(1000); // ~40 ms on an idle core; this only catches blunders
  });

  it('refuses bad seeds, labels, counts, bounds and states', () => {
    for (const seed of [0.5, Number.NaN, 2 ** 53, 2n ** 64n, 'x' as unknown as number])
      expect(() => new Random(seed)).toThrow(InputError);
    expect(() => new Random(0, Number.NaN)).toThrow(InputError);
    const r = new Random(0);
    for (const n of [-1, 1.5, Number.NaN]) {
      expect(() => r.uniform(n)).toThrow(InputError);
      expect(() => r.normal(n)).toThrow(InputError);
      expect(() => r.permutation(n)).toThrow(InputError);
    }
    for (const bound of [0, -3, 1.5, 2 ** 32 + 1]) expect(() => r.int(bound)).toThrow(InputError);
    const good = r.state();
    for (const bad of [
      null,
      {},
      { ...good, seed: 7 },
      { ...good, drawn: { uniform: -1, normal: 0, int: 0 } },
    ])
      expect(() => Random.fromState(bad as never)).toThrow(InputError);
  });
});
