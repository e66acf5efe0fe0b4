/** Pictures of several labels at once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import type { RgbPicture } from '../../src/image/index.js';
import { DiffusionPipeline, img2img, interpolate } from '../../src/pipelines/index.js';
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
  it.each([{}, { guidanceScale: 3 }, { guidanceScale: 3, apg: { momentum: -0.5 } }])(
    'is the middle of the way between them (%j)',
    async (options) => {
      const label = ['ant', 'bee'];
      const [, middle] = await interpolate(model, { seeds: [3], steps: 3, label, frames: 2, ...options });
      const blend = await draw('ant+bee', options);
      expect(blend.label).toBe('ant+bee');
      expect(worst(blend, middle)).toBeLessThanOrEqual(1);
      expect(worst(blend, await draw('ant', options))).toBeGreaterThan(2);
    },
  );

  it('is weighed', async () => {
    const one = await draw('ant');
    const near = worst(await draw('ant:9+bee'), one);
    const far = worst(await draw('ant+bee:9'), one);
    expect(near).toBeLessThan(far);
    expect((await draw('ant:2 + ant')).data).toEqual(one.data);
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
