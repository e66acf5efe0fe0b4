/** The loops of the pipelines with every scheduler: those that call the model several times a step, too. */
import { describe, expect, it } from 'vitest';
import { convertPrediction } from '../../src/diffusion/index.js';
import { denoise } from '../../src/pipelines/denoise.js';
import { paint } from '../../src/pipelines/paint.js';
import { plainSchedule, requireResampling } from '../../src/pipelines/repaint.js';
import { Random } from '../../src/random.js';
import {
  SCHEDULER_NAMES,
  type Scheduler,
  schedulerFromConfig,
  stepStarts,
} from '../../src/schedulers/index.js';

const STEPS = 9;
const picture = Float32Array.from([0.5, -0.9, 0.1, 0.7]);

function schedulerOf(name: string): Scheduler {
  const scheduler = schedulerFromConfig({ set_alpha_to_one: true }, name);
  scheduler.setTimesteps(STEPS);
  return scheduler;
}

/** DEIS and TCD end at the noise of the first training timestep. */
const tolerance = (name: string) => (name === 'deis' || name === 'tcd' ? 0.1 : 1e-3);

/** The model that knows one picture only, and how often it was asked. */
function model({ alphasCumprod }: Scheduler) {
  const asked: number[] = [];
  const sigma = (t: number) => Math.sqrt(1 / alphasCumprod[t] - 1);
  const predict = async (seen: Float32Array, timestep: number): Promise<Float32Array> => {
    asked.push(timestep);
    const low = Math.floor(timestep);
    const level = sigma(low) + (timestep - low) * (sigma(Math.ceil(timestep)) - sigma(low));
    return convertPrediction(picture, seen, 1 / (level ** 2 + 1), 'sample', 'epsilon');
  };
  return { asked, predict };
}

describe.each(SCHEDULER_NAMES)('%s', (name) => {
  it('has as many steps as were asked for', () => {
    expect(stepStarts(schedulerOf(name)).length).toBe(STEPS);
  });

  it('denoises from a step in the middle', async () => {
    const scheduler = schedulerOf(name);
    const { asked, predict } = model(scheduler);
    const random = new Random(4);
    const start = stepStarts(scheduler)[5];
    const { timesteps } = scheduler;
    const seen: number[] = [];
    const sample = await denoise({
      denoiser: { predict: (input, _, timestep) => predict(input, timestep) },
      scheduler,
      sample: scheduler.addNoise(picture, random.normal(4), timesteps[start]),
      start,
      size: [2, 2],
      condition: { label: null, nullLabel: null, guidanceScale: 1 },
      noise: (index) => random.fork(index).normal(4),
      onStep: ({ index }) => void seen.push(index),
    });
    expect(asked).toEqual(timesteps.slice(start));
    expect(seen).toEqual(timesteps.map((_, i) => i).slice(start));
    for (const [i, v] of sample.entries()) expect(Math.abs(v - picture[i])).toBeLessThan(tolerance(name));
  });

  it('inpaints: what is known stays, and the rest becomes the picture', async () => {
    const scheduler = schedulerOf(name);
    const { asked, predict } = model(scheduler);
    const known = Float32Array.from([0.2, 0.3, -0.4, 0.6]);
    const moves = plainSchedule(scheduler.timesteps.length);
    const random = new Random(2);
    const sample = await paint({
      predict,
      scheduler,
      known,
      painted: Uint8Array.of(1, 0, 1, 0),
      moves,
      noise: (...name) => random.fork(...name).normal(4),
    });
    expect(asked).toEqual(scheduler.timesteps);
    for (const i of [1, 3]) expect(sample[i]).toBe(known[i]);
    for (const i of [0, 2]) expect(Math.abs(sample[i] - picture[i])).toBeLessThan(tolerance(name));
  });

  it.skipIf(name === 'ddpm' || name === 'ddim')('cannot go back up', () => {
    expect(() => requireResampling(schedulerOf(name))).toThrow(/--method replace/);
  });
});
