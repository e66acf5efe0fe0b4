/** Guidance against diffusers' guiders (test/fixtures/guidance/record.py), and what each paper says of its own. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import {
  checkInterval,
  checkRescale,
  classifierFree,
  ProjectedGuidance,
  type ProjectedOptions,
  projectedOptions,
  rescaleGuidance,
  withinInterval,
} from '../../src/guidance/index.js';
import { Random } from '../../src/random.js';

type Case = {
  scale: number;
  steps: { conditional: number[]; other: number[]; guided: number[] }[];
} & ({ kind: 'apg'; options: ProjectedOptions } | { kind: 'rescale'; factor: number });

const file = new URL('../fixtures/guidance/guidance.json', import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(file, 'utf8'));

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

describe('guidance as diffusers has it', () => {
  it.each(cases.map(({ steps, ...c }) => [JSON.stringify(c), { ...c, steps } as Case] as const))(
    '%s',
    (_, c) => {
      const projected = c.kind === 'apg' ? new ProjectedGuidance(c.options) : null;
      for (const { conditional, other, guided } of c.steps) {
        const [a, b] = [Float32Array.from(conditional), Float32Array.from(other)];
        const made =
          c.kind === 'apg'
            ? projected?.apply(a, b, c.scale)
            : rescaleGuidance(classifierFree(a, b, c.scale), a, c.factor);
        expect(furthest(made as Float32Array, guided)).toBeLessThan(1e-5);
      }
    },
  );
});

const normal = (...name: string[]) => new Random(1, ...name).normal(30);
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const minus = (a: Float32Array, b: Float32Array) => a.map((x, i) => x - b[i]);

describe('projected guidance', () => {
  const [picture, other] = [normal('picture'), normal('other')];

  it('without its three parts is plain guidance', () => {
    const plain = new ProjectedGuidance({ eta: 1, normThreshold: 0, momentum: 0 });
    for (let step = 0; step < 2; step++)
      expect(furthest(plain.apply(picture, other, 3), classifierFree(picture, other, 3))).toBeLessThan(1e-5);
  });

  it('leads across the picture only, and no further than its limit', () => {
    const change = minus(new ProjectedGuidance({ normThreshold: 2 }).apply(picture, other, 2), picture);
    expect(Math.abs(dot(change, picture))).toBeLessThan(1e-4);
    expect(Math.sqrt(dot(change, change))).toBeLessThan(2);
    const free = minus(new ProjectedGuidance().apply(picture, other, 2), picture);
    expect(dot(free, free)).toBeGreaterThan(4);
  });

  it('takes back what it did the step before', () => {
    const pushed = new ProjectedGuidance({ momentum: -0.5 });
    const first = minus(pushed.apply(picture, other, 2), picture);
    const second = minus(pushed.apply(picture, other, 2), picture);
    expect(
      furthest(
        second,
        first.map((x) => x / 2),
      ),
    ).toBeLessThan(1e-5);
  });

  it('leaves nothing to project on a picture of nothing', () => {
    const black = new Float32Array(30);
    expect(new ProjectedGuidance().apply(black, other, 2).every(Number.isFinite)).toBe(true);
  });

  it.each<[ProjectedOptions, RegExp]>([
    [{ eta: -1 }, /^-1 is not possible — --apg-eta — give a number from 0$/],
    [{ eta: Number.NaN }, /--apg-eta/],
    [{ normThreshold: -2 }, /--apg-norm-threshold — give a number above 0/],
    [{ normThreshold: Infinity }, /--apg-norm-threshold/],
    [{ momentum: 1 }, /--apg-momentum — give a number between -1 and 1/],
    [{ momentum: -1.5 }, /--apg-momentum/],
  ])('refuses %o', (options, message) => {
    expect(() => projectedOptions(options)).toThrow(InputError);
    expect(() => new ProjectedGuidance(options)).toThrow(message);
  });
});

describe('rescaled guidance', () => {
  const deviation = (x: Float32Array) => {
    const mean = x.reduce((a, b) => a + b) / x.length;
    return Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length);
  };

  it('has the deviation of the conditional prediction at 1, its own at 0, and between them one between', () => {
    const conditional = normal('conditional');
    const guided = classifierFree(conditional, normal('other'), 6);
    const at = (factor: number) => deviation(rescaleGuidance(guided, conditional, factor));
    expect(at(1)).toBeCloseTo(deviation(conditional), 5);
    expect(at(0)).toBeCloseTo(deviation(guided), 5);
    expect(at(0.7)).toBeCloseTo(0.7 * at(1) + 0.3 * at(0), 5);
  });

  it('leaves what is the same everywhere, and takes 0 to 1', () => {
    const flat = new Float32Array(4).fill(0.5);
    expect(rescaleGuidance(flat, normal('x').slice(0, 4), 0.7)).toEqual(flat);
    for (const factor of [-0.1, 1.1, Number.NaN])
      expect(() => checkRescale(factor)).toThrow(/--guidance-rescale — give a number from 0 to 1/);
  });
});

describe('an interval of guidance', () => {
  it('has its upper end but not its lower one, and reaches as far as noise goes', () => {
    const alphaProd = (sigma: number) => 1 / (1 + sigma ** 2);
    const within = [0.1, 0.5, 0.75, 2, 2.1].map((sigma) => withinInterval([0.5, 2], alphaProd(sigma)));
    expect(within).toEqual([false, false, true, true, false]);
    expect(withinInterval([0.5, Infinity], 0)).toBe(true);
    expect(withinInterval([0.5, 80], 0)).toBe(false);
  });

  it.each([[[2, 1]], [[1, 1]], [[-1, 2]], [[Number.NaN, 2]]] as const)('is not %o', (ends) => {
    expect(() => checkInterval(ends)).toThrow(InputError);
    expect(() => checkInterval(ends)).toThrow(/--guidance-interval — give two rising numbers/);
  });
});
