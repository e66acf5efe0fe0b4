/** Step by step against diffusers (test/fixtures/schedulers/record.py), and whole runs against its whole runs. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { betaQuantile } from '../../src/schedulers/beta-distribution.js';
import {
  FlowMatchEulerDiscreteScheduler,
  samplerFromConfig,
  spacedTimesteps,
} from '../../src/schedulers/index.js';

interface Recording {
  case: {
    name: string;
    config: Record<string, unknown>;
    steps?: number;
    timesteps?: number[];
    eta?: number;
    useClipped?: boolean;
    mu?: number;
    churn?: { churn: number; tmin?: number; tmax?: number; noise?: number };
  };
  kept: number[];
  timesteps: number[];
  initNoiseSigma: number;
  prev: number[][];
  original: number[][];
}

const fixture: {
  spacings: Record<string, number[]>;
  beta_quantiles: [p: number, a: number, b: number, x: number][];
  records: Recording[];
} = JSON.parse(readFileSync(new URL('../fixtures/schedulers/schedulers.json', import.meta.url), 'utf8'));
const SIZE = 8;
const TOLERANCE = 1e-5;

const formula = (f: (i: number) => number) => Float32Array.from({ length: SIZE }, (_, i) => f(i));
const firstSample = () => formula((i) => 1.3 * Math.sin(2.3 * i + 0.4));
const noise = (k: number) => formula((i) => 1.4 * Math.sin(3.1 * k + 1.7 * i * i + 0.5));
const model = (k: number, t: number, sample: Float32Array) =>
  formula((i) => Math.sin(k + 0.7 * i + 0.01 * t) + 0.1 * sample[i]);

/** Largest difference, relative to the largest value (or to 1 where all are smaller). */
function difference(actual: Float32Array, expected: number[]): number {
  const scale = Math.max(1, ...expected.map(Math.abs));
  return Math.max(...expected.map((v, i) => Math.abs(actual[i] - v))) / scale;
}

/** Runs the sampler as the recording did; returns the worst difference of any kept step. */
function replay(record: Recording): { prev: number; original: number } {
  const { name, config, steps, timesteps, eta, useClipped, mu, churn } = record.case;
  const scheduler = samplerFromConfig(config, name);
  if (scheduler instanceof FlowMatchEulerDiscreteScheduler) scheduler.setTimesteps(steps as number, mu);
  else scheduler.setTimesteps(timesteps ?? (steps as number));
  expect(scheduler.timesteps.length).toBe(record.timesteps.length);
  for (let k = 0; k < record.timesteps.length; k++)
    expect(Math.abs(scheduler.timesteps[k] - record.timesteps[k])).toBeLessThanOrEqual(
      1e-6 * Math.max(1, Math.abs(record.timesteps[k])),
    );
  expect(Math.abs(scheduler.initNoiseSigma / record.initNoiseSigma - 1)).toBeLessThan(1e-6);

  const worst = { prev: 0, original: 0 };
  let sample: Float32Array = firstSample().map((v) => v * scheduler.initNoiseSigma);
  scheduler.timesteps.forEach((t, k) => {
    const output = model(k, t, scheduler.scaleModelInput(sample, t));
    const result = scheduler.step(output, t, sample, {
      eta,
      churn: churn && { amount: churn.churn, min: churn.tmin, max: churn.tmax, noise: churn.noise },
      noise: () => noise(k),
      useClippedModelOutput: useClipped,
      batchSize: 2,
    });
    sample = result.prevSample;
    const at = record.kept.indexOf(k);
    if (at < 0) return;
    worst.prev = Math.max(worst.prev, difference(sample, record.prev[at]));
    if (record.original.length > 0)
      worst.original = Math.max(worst.original, difference(result.predOriginalSample, record.original[at]));
  });
  return worst;
}

const runs = fixture.records.map((record) => {
  const { name, config, ...rest } = record.case;
  return { title: `${name} ${JSON.stringify(rest)} ${JSON.stringify(config)}`, record };
});

describe('schedulers against diffusers', () => {
  it.each(runs)('$title', ({ record }) => {
    const worst = replay(record);
    if (process.env.SUMI_DEBUG) console.log('WORST', record.case.name, worst.prev, worst.original);
    expect(worst.prev).toBeLessThan(TOLERANCE);
    expect(worst.original).toBeLessThan(TOLERANCE);
  });

  it('has the quantiles of the beta distribution that scipy has', () => {
    for (const [p, a, b, x] of fixture.beta_quantiles)
      expect(Math.abs(betaQuantile(p, a, b) / x - 1), `${p} ${a} ${b}`).toBeLessThan(5e-9); // the digits recorded
  });

  it('chooses the same timesteps for every number of steps', () => {
    for (const timestep_spacing of ['leading', 'linspace', 'trailing'] as const) {
      const config = { num_train_timesteps: 1000, timestep_spacing, steps_offset: 0 };
      const sums = Array.from({ length: 1000 }, (_, i) =>
        spacedTimesteps(config, i + 1).reduce((sum, t, at) => sum + (at + 1) * t, 0),
      );
      expect(sums.map((sum) => sum % 65521)).toEqual(fixture.spacings[timestep_spacing]);
    }
  });
});
