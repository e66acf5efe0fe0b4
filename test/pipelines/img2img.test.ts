import { beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { toFloat } from '../../src/image/index.js';
import { DiffusionPipeline, type Img2ImgOptions, img2img, startingStep } from '../../src/pipelines/index.js';
import { noisyPicture } from './pictures.js';
import { labelled, latent, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
let pixels: DiffusionPipeline;
let latents: DiffusionPipeline;

beforeAll(async () => {
  pixels = await DiffusionPipeline.fromPretrained(await writeTiny(at('pixels'), labelled));
  latents = await DiffusionPipeline.fromPretrained(await writeTiny(at('latents'), latent));
  return async () => {
    await pixels.dispose();
    await latents.dispose();
  };
});

const image = noisyPicture(16, 16);
const draw = async (options: Partial<Img2ImgOptions>, model = pixels) =>
  (await img2img(model, { image, steps: 4, seed: 3, ...options })).map(({ data }) => Buffer.from(data));

// int(steps · strength) steps are done in diffusers' get_timesteps; 50 · 0.58 is 28.999999999999996.
it.each([
  [50, 0.6, 20],
  [50, 0.58, 22],
  [30, 0.5, 15],
  [4, 0.99, 1],
  [4, 1, 0],
  [4, 0, 4],
])('of %i steps at strength %d the first is %i', (steps, strength, first) => {
  expect(startingStep(steps, strength)).toBe(first);
});

describe('strength', () => {
  it('0 gives the picture back', async () => {
    expect(await draw({ strength: 0 })).toEqual([Buffer.from(image.data)]);
    const known = await latents.codec.encode(toFloat(image.data), [16, 16]);
    const { data } = await latents.decode(known, [8, 8]);
    expect(await draw({ strength: 0 }, latents)).toEqual([Buffer.from(data)]);
  });

  it('1 draws what `generate` draws', async () => {
    for (const model of [pixels, latents]) {
      const [{ data }] = await model.generate({ seed: 3, steps: 4, eta: 0.5 });
      expect(await draw({ strength: 1, eta: 0.5 }, model)).toEqual([Buffer.from(data)]);
    }
  });

  it('between them depends on the picture', async () => {
    const other = noisyPicture(16, 16, 8);
    expect(await draw({ strength: 0.5 })).not.toEqual(await draw({ strength: 0.5, image: other }));
    expect(await draw({ strength: 0.5 })).not.toEqual(await draw({ strength: 0.75 }));
  });

  it.each(['ddpm', 'euler', 'heun', 'pndm', 'dpmsolver'])('works with %s', async (scheduler) => {
    const [a, b] = [await draw({ strength: 0.5, scheduler }), await draw({ strength: 0, scheduler })];
    expect(a).not.toEqual(b);
    expect(b).toEqual([Buffer.from(image.data)]);
  });
});

it('draws the same picture for a seed, whatever the count', async () => {
  const three = await draw({ count: 3, strength: 0.5 });
  expect(await draw({ seed: 5, strength: 0.5 })).toEqual([three[2]]);
  expect(three[0]).not.toEqual(three[1]);
});

it.each<[string, Partial<Img2ImgOptions>, RegExp]>([
  ['strength', { strength: 1.5 }, /a strength of 1.5 is not possible — --strength/],
  ['strength', { strength: Number.NaN }, /strength of NaN/],
  ['strength', { strength: 0.1 }, /less than one of 4 steps — --strength — give 0.25 or more/],
  ['image', { image: noisyPicture(8, 8) }, /the picture is 8×8/],
  ['count', { count: 0 }, /--count/],
  ['seed', { seed: 0.5 }, /--seed/],
  ['label', { label: 'dragon' }, /label dragon/],
])('refuses %s', async (_, options, message) => {
  const refused = draw(options);
  await expect(refused).rejects.toThrow(InputError);
  await expect(refused).rejects.toThrow(message);
});
