/** The shipped model that draws in four evaluations. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { psnr } from '../../src/metrics/index.js';
import { DiffusionPipeline, type GenerateOptions } from '../../src/pipelines/index.js';

let fast: DiffusionPipeline;
let teacher: DiffusionPipeline;
beforeAll(async () => {
  fast = await DiffusionPipeline.fromPretrained('characters-fast');
  teacher = await DiffusionPipeline.fromPretrained('characters');
});
afterAll(async () => {
  await fast.dispose();
  await teacher.dispose();
});

/** The first of the 304 pictures that the model card measures. */
const common = { count: 16, seed: 0, batchSize: 8, refine: false };

/** Means of the PSNR beside the teacher's pictures of the same seeds, in dB: one face that became another counts once. */
async function nearness(...drawn: [DiffusionPipeline, GenerateOptions][]): Promise<number[]> {
  const label = [...teacher.labels];
  const taught = await teacher.generate({ ...common, label, steps: 30 });
  const found: number[] = [];
  for (const [pipeline, options] of drawn) {
    const pictures = await pipeline.generate({ ...common, label, ...options });
    found.push(pictures.reduce((sum, picture, i) => sum + psnr(picture, taught[i]), 0) / pictures.length);
  }
  return found;
}

describe('characters-fast', () => {
  it('draws in four evaluations and without guidance unless told otherwise', async () => {
    let calls = 0;
    const [picture] = await fast.generate({
      seed: 7,
      label: 'micah',
      refine: false,
      onStep: () => void calls++,
    });
    expect(calls).toBe(4);
    expect(picture).toMatchObject({ width: 64, height: 64, label: 'micah' });
    expect(fast.plan({ seed: 7 })[0].condition.guidanceScale).toBe(1);
    expect(fast.schedulerFor({}).timesteps).toEqual([999, 749, 499, 249]);
    expect(fast.labels).toEqual(teacher.labels);
    expect(() => fast.plan({ guidanceScale: 2 })).toThrow(/not trained for guidance/);
  });

  it('comes nearer to its teacher’s pictures than the teacher itself in four or, guided, eight evaluations', async () => {
    const [own, plain, guided, two, guidedTwo] = await nearness(
      [fast, {}],
      [teacher, { steps: 4, guidanceScale: 1 }],
      [teacher, { steps: 4 }],
      [fast, { steps: 2 }],
      [teacher, { steps: 2 }],
    );
    expect(own).toBeGreaterThan(plain + 1);
    expect(own).toBeGreaterThan(guided);
    expect(two).toBeGreaterThan(guidedTwo + 1);
  });
});
