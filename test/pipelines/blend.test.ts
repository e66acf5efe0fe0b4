/** Pictures of several labels at once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import type { RgbPicture } from '../../src/image/index.js';
import { blending } from '../../src/pipelines/blend.js';
import { type Condition, DiffusionPipeline, img2img } from '../../src/pipelines/index.js';
import { labelled, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
let model: DiffusionPipeline;
beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  model = await DiffusionPipeline.fromPretrained(at('model'), { threads: 1 });
});
afterAll(() => model.dispose());

const draw = async (label: string, options = {}) =>
  (await model.generate({ seed: 3, steps: 3, label, ...options }))[0];
const worst = (a: RgbPicture, b: RgbPicture) =>
  a.data.reduce((most, x, i) => Math.max(most, Math.abs(x - b.data[i])), 0);

describe('a blend of labels', () => {
  /** Labels that the network is asked for, step by step. */
  const asked = async (text: string, timesteps: number[]) => {
    const seen: (number | null)[] = [];
    const predict = async (sample: Float32Array, _: unknown, __: unknown, { label }: Condition) => {
      seen.push(label);
      return sample;
    };
    const of = blending(() => ({ predict }), timesteps);
    const { name, ...condition } = model.condition(0, text);
    expect(name).toBe(text);
    for (const t of timesteps) await of.predict(new Float32Array(1), [1, 1], t, condition);
    return seen;
  };

  it('is drawn in turns, and ended by the first', async () => {
    const timesteps = Array.from({ length: 16 }, (_, i) => 16 - i);
    expect(await asked('bee+ant', timesteps)).toEqual([1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1]);
    const weighed = await asked('ant+bee:3', timesteps);
    expect(weighed.slice(0, 12).filter((label) => label === 1)).toHaveLength(9);
    expect(weighed.slice(12)).toEqual([0, 0, 0, 0]);
    expect(await asked('bee', timesteps)).toEqual(timesteps.map(() => 1));
  });

  it('lies between its labels', async () => {
    const options = { guidanceScale: 3, apg: { momentum: -0.5 }, steps: 8 };
    const [one, other] = [await draw('ant', options), await draw('bee', options)];
    const blend = await draw('ant+bee', options);
    expect(blend.label).toBe('ant+bee');
    expect(worst(blend, one)).toBeGreaterThan(2);
    expect(worst(blend, other)).toBeGreaterThan(2);
    expect((await draw('ant:2 + ant')).data).toEqual((await draw('ant')).data);
    expect((await draw('0+bee')).data).toEqual((await draw('ant+1')).data);
  });

  it('is drawn beside other labels, and from a picture', async () => {
    const label = ['ant+bee', 'cat'];
    const alone = await model.generate({ count: 2, seed: 3, steps: 3, label });
    const together = await model.generate({ count: 2, seed: 3, steps: 3, label, batchSize: 2 });
    for (const [i, picture] of alone.entries()) expect(worst(picture, together[i])).toBeLessThanOrEqual(1);
    const [from] = await img2img(model, {
      image: alone[1],
      strength: 1,
      steps: 3,
      seed: 3,
      label: 'ant+bee',
    });
    expect(from.label).toBe('ant+bee');
  });

  it.each([
    ['ant+dog', /the label dog is unknown/],
    ['ant+', /"" is no label with a weight above 0 — --label ant\+/],
    ['ant:0+bee', /"ant:0" is no label with a weight above 0/],
    ['ant:x+bee', /"ant:x" is no label/],
  ])('is refused where a part is no label: %s', async (label, message) => {
    await expect(draw(label)).rejects.toThrow(InputError);
    await expect(draw(label)).rejects.toThrow(message);
  });

  it('is refused where features are kept', async () => {
    await expect(draw('ant+bee', { cacheInterval: 2 })).rejects.toThrow(/--fast/);
  });
});
