/**
 * The student's target where everything is known: data of the normal distribution N(m, s²), whose best prediction is a
 * formula, and for which DDIM's steps are exact products.
 */
import { describe, expect, it } from 'vitest';
import { type DiffusionPrediction, PREDICTION_TYPES } from '../../src/diffusion/index.js';
import { DDIMScheduler } from '../../src/schedulers/index.js';
import { landing, landingBatch, studentSteps, targetFor } from '../../src/training/distill-target.js';

const [MEAN, DEVIATION] = [0.3, 0.6];

/** E[x_0 | x_t] for data of N(MEAN, DEVIATION²), and the predictions that belong to it. */
function best(type: DiffusionPrediction, x: number, alphaProd: number): number {
  const [a, s] = [Math.sqrt(alphaProd), Math.sqrt(1 - alphaProd)];
  const gain = (a * DEVIATION ** 2) / (alphaProd * DEVIATION ** 2 + s ** 2);
  const original = MEAN + gain * (x - a * MEAN);
  const epsilon = (x - a * original) / s;
  return { sample: original, epsilon, v_prediction: a * epsilon - s * original }[type];
}

/** Where the exact flow of that data takes x_t: the same number of standard deviations from the mean (both known). */
function flow(x: number, alphaProd: number, alphaProdNext: number): number {
  const spread = (p: number) => Math.sqrt(p * DEVIATION ** 2 + 1 - p);
  const z = (x - Math.sqrt(alphaProd) * MEAN) / spread(alphaProd);
  return Math.sqrt(alphaProdNext) * MEAN + z * spread(alphaProdNext);
}

const config = { beta_schedule: 'linear', timestep_spacing: 'trailing', clip_sample: false } as const;
const START = Float32Array.of(-1.7, -0.4, 0, 0.9, 2.2);

/** Steps of DDIM by the best prediction. */
function drawn(type: DiffusionPrediction, start: Float32Array, timesteps: number[], steps: number) {
  const scheduler = new DDIMScheduler({ ...config, prediction_type: type });
  scheduler.setTimesteps(steps);
  let x: Float32Array = start;
  for (const t of timesteps) {
    const output = x.map((value) => best(type, value, scheduler.alphasCumprod[t]));
    x = scheduler.step(output, t, x).prevSample;
  }
  return x;
}

describe.each(PREDICTION_TYPES)('the target of a student that predicts %s', (type) => {
  it('leads by one step of DDIM to where two steps of the teacher lead', () => {
    const scheduler = new DDIMScheduler({ ...config, prediction_type: type });
    const steps = studentSteps(scheduler, 4);
    expect(steps.map((s) => s.timestep)).toEqual([999, 749, 499, 249]);
    for (const { timestep, step } of steps) {
      const reached = drawn(type, START, [timestep, timestep - 125], 8);
      const target = targetFor(START, reached, step);
      const landed = scheduler.step(target, timestep, START).prevSample;
      for (const [i, x] of landed.entries()) expect(x).toBeCloseTo(reached[i], 4);
      // It is another prediction than the teacher's own: chords of a curved way are not its tangents.
      if (timestep !== 999) {
        const own = START.map((x) => best(type, x, scheduler.alphasCumprod[timestep]));
        expect(Math.abs(target[4] - own[4])).toBeGreaterThan(1e-3);
      }
    }
  });

  it('makes four exact steps of the exact flow', () => {
    const scheduler = new DDIMScheduler({ ...config, prediction_type: type });
    let x: Float32Array = START;
    for (const { timestep, step } of studentSteps(scheduler, 4)) {
      const next = scheduler.previousTimestep(timestep);
      const [from, to] = [scheduler.alphasCumprod[timestep], next < 0 ? 1 : scheduler.alphasCumprod[next]];
      const reached = x.map((value) => flow(value, from, to));
      x = scheduler.step(targetFor(x, reached, step), timestep, x).prevSample;
    }
    const end = START.map((value) => flow(value, scheduler.alphasCumprod[999], 1));
    for (const [i, value] of x.entries()) expect(value).toBeCloseTo(end[i], 4);
    // Four plain steps of the best prediction go astray, so the test can tell.
    const plain = drawn(type, START, [999, 749, 499, 249], 4);
    expect(Math.abs(plain[4] - end[4])).toBeGreaterThan(0.05);
  });

  it('weighs an error of the prediction by how far the step lands away', () => {
    const alphaProd = 0.2;
    const step = landing(type, alphaProd, 0.7);
    const at = (output: number) => step.output * output + step.sample * 1.1;
    expect(at(0.5) - at(0.4)).toBeCloseTo(0.1 * step.output, 12);
    const steps = [{ timestep: 7, step }];
    const { weights } = landingBatch({ states: [START, START], labels: null }, [1, 1, 5], steps);
    expect(weights.data[0]).toBeCloseTo(step.output ** 2, 6);
  });
});

describe('the batch', () => {
  it('has a row for each step of each picture, with its own label, timestep and target', () => {
    const scheduler = new DDIMScheduler({ ...config, prediction_type: 'v_prediction' });
    const steps = studentSteps(scheduler, 2);
    const states = [Float32Array.of(1, 2), Float32Array.of(3, 4), Float32Array.of(5, 6)];
    const batch = landingBatch({ states, labels: Int32Array.of(7, 8) }, [1, 1, 1], steps);
    expect(batch.sample.shape).toEqual([4, 1, 1, 1]);
    expect([...batch.sample.data]).toEqual([1, 2, 3, 4]);
    expect([...batch.timesteps.data]).toEqual([999, 999, 499, 499]);
    expect([...batch.labels.data]).toEqual([7, 8, 7, 8]);
    const landed = (k: number, from: Float32Array) =>
      scheduler.step(batch.target.data.slice(2 * k, 2 * k + 2) as Float32Array, steps[k].timestep, from)
        .prevSample;
    for (const k of [0, 1])
      for (const [i, x] of landed(k, states[k]).entries()) expect(x).toBeCloseTo(states[k + 1][i], 3);
    expect(landingBatch({ states, labels: null }, [1, 1, 1], steps).labels).toBeUndefined();
  });
});
