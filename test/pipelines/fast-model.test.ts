/** The shipped model that draws in four evaluations. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const common = { count: 16, seed: 300, batchSize: 8, refine: false };

/** Mean squared distance to the teacher's pictures of the same seeds. */
async function distances(...drawn: [DiffusionPipeline, GenerateOptions][]): Promise<number[]> {
  const taught = await teacher.generate({ ...common, steps: 30 });
  const found: number[] = [];
  for (const [pipeline, options] of drawn) {
    const pictures = await pipeline.generate({ ...common, ...options });
    const all = pictures.flatMap(({ data }, i) => Array.from(data, (x, k) => (x - taught[i].data[k]) ** 2));
    found.push(all.reduce((a, b) => a + b) / all.length);
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
    const [own, plain, guided, two, guidedTwo] = await distances(
      [fast, {}],
      [teacher, { steps: 4, guidanceScale: 1 }],
      [teacher, { steps: 4 }],
      [fast, { steps: 2 }],
      [teacher, { steps: 2 }],
    );
    expect(own).toBeLessThan(0.7 * plain);
    expect(own).toBeLessThan(guided);
    expect(two).toBeLessThan(0.8 * guidedTwo);
  });
});
