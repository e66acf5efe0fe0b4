import { beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import {
  DiffusionPipeline,
  INPAINT_METHODS,
  type InpaintedPicture,
  type InpaintOptions,
  inpaint,
} from '../../src/pipelines/index.js';
import { boxMask, noisyPicture, pixelsWhere } from './pictures.js';
import { labelled, latent, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
const models: Record<string, DiffusionPipeline> = {};

beforeAll(async () => {
  models.pixels = await DiffusionPipeline.fromPretrained(await writeTiny(at('pixels'), labelled));
  models.latents = await DiffusionPipeline.fromPretrained(await writeTiny(at('latents'), latent));
  return async () => {
    for (const model of Object.values(models)) await model.dispose();
  };
});

const image = noisyPicture(16, 16);
const mask = boxMask(16, 16, [5, 3, 12, 9]);
const job = { image, mask, steps: 3, jumpLength: 1, jumps: 2, seed: 4 };
const draw = (options: Partial<InpaintOptions> = {}, model = 'pixels') =>
  inpaint(models[model], { ...job, ...options });
const bytes = (pictures: readonly InpaintedPicture[]) => pictures.map(({ data }) => Buffer.from(data));

describe('what the mask keeps', () => {
  it.each([
    ...INPAINT_METHODS.flatMap((method) => [
      ['pixels', method, 16, 16] as const,
      ['latents', method, 16, 16] as const,
    ]),
    ['pixels', 'replace', 50, 37],
    ['pixels', 'replace', 80, 70],
    ['latents', 'replace', 37, 50],
    ['latents', 'replace', 9, 11],
  ] as const)('is the same bytes: %s, %s, %i×%i', async (model, method, width, height) => {
    const image = noisyPicture(width, height);
    const mask = boxMask(width, height, [2, 3, width - 3, height - 4]);
    mask.data[4 * width + 4] = 0.01;
    const [picture] = await draw({ image, mask, method }, model);
    expect([picture.width, picture.height]).toEqual([width, height]);
    expect(pixelsWhere(picture, mask, false)).toEqual(pixelsWhere(image, mask, false));
    const [before, after] = [pixelsWhere(image, mask, true), pixelsWhere(picture, mask, true)];
    const changed = after.filter((value, i) => value !== before[i]).length;
    expect(changed).toBeGreaterThan(0.8 * before.length);
  });

  it('is what the painted part depends on', async () => {
    const other = {
      ...image,
      data: image.data.map((v, i) => (mask.data[Math.floor(i / 3)] > 0 ? v : 255 - v)),
    };
    const [[a], [b]] = [await draw(), await draw({ image: other })];
    expect(pixelsWhere(a, mask, true)).not.toEqual(pixelsWhere(b, mask, true));
  });

  it('is all that it depends on: nothing of the painted part is looked at', async () => {
    const other = {
      ...image,
      data: image.data.map((v, i) => (mask.data[Math.floor(i / 3)] > 0 ? 255 - v : v)),
    };
    expect(bytes(await draw({ image: other }))).toEqual(bytes(await draw()));
  });
});

it('blends as far as the mask is grey', async () => {
  const half = { ...mask, data: mask.data.map((m) => m / 2) };
  const [[whole], [blended]] = [await draw(), await draw({ mask: half })];
  const expected = Array.from(whole.data, (v, i) =>
    mask.data[Math.floor(i / 3)] > 0 ? (v + image.data[i]) / 2 : v,
  );
  for (const [i, value] of blended.data.entries())
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(0.5);
});

it('lets transparent pixels be, and paints opaque ones', async () => {
  const alpha = Uint8Array.from({ length: 256 }, (_, i) => i % 200);
  const [picture] = await draw({ image: { ...image, alpha } });
  expect(pixelsWhere(picture, mask, false)).toEqual(pixelsWhere(image, mask, false));
  expect(Array.from(picture.alpha ?? [])).toEqual(Array.from(alpha, (a, i) => (mask.data[i] > 0 ? 255 : a)));
});

it('goes by the label, or by none', async () => {
  const [none] = await draw();
  expect(none.label).toBeNull();
  const [bee] = await draw({ label: 'bee' });
  expect(bee.label).toBe('bee');
  expect(bytes([bee])).not.toEqual(bytes([none]));
  // The null class is what the network was trained to take for none.
  expect(bytes(await draw({ label: 3 }))).toEqual(bytes([none]));
  const [free] = await draw({}, 'latents');
  expect(free.label).toBeNull();
});

describe('seeds', () => {
  it('draw the same again, whatever the count, and each its own', async () => {
    const three = bytes(await draw({ count: 3 }));
    expect(three[0]).not.toEqual(three[1]);
    expect(bytes(await draw({ seed: 6 }))).toEqual([three[2]]);
    expect(bytes(await draw({ count: 3 }))).toEqual(three);
  });

  it('give the picture of `generate` where nothing is kept', async () => {
    const all = boxMask(16, 16, [0, 0, 16, 16]);
    const [drawn] = await models.pixels.generate({ seed: 4, steps: 3, label: 'bee' });
    const [free] = await draw({ mask: all, eta: 0, guidanceScale: 2, label: 'bee' });
    expect(Buffer.from(free.data)).toEqual(Buffer.from(drawn.data));
  });

  it('give the same by both methods without jumps', async () => {
    expect(bytes(await draw({ jumps: 1 }))).toEqual(bytes(await draw({ method: 'replace' })));
    expect(bytes(await draw({ jumps: 2 }))).not.toEqual(bytes(await draw({ method: 'replace' })));
  });
});

describe('the edge', () => {
  const job = { method: 'replace', steps: 1 } as const;

  it('is as drawn where the model keeps the very pixels', async () => {
    expect(bytes(await draw(job))).toEqual(bytes(await draw({ ...job, blend: 'none' })));
  });

  it.each([
    [16, 'latents'],
    [40, 'pixels'],
  ] as const)('takes the colours around it over where it cannot fit: side %i, %s', async (side, model) => {
    const data = new Uint8Array(side * side * 3).fill(200);
    const picture = { image: { data, width: side, height: side }, mask: boxMask(side, side, [4, 4, 12, 12]) };
    const stepOf = ([painted]: InpaintedPicture[]) => {
      const row = Array.from({ length: 8 }, (_, i) => ((4 + i) * side + 4) * 3);
      return row.reduce((sum, i) => sum + painted.data[i] - 200, 0) / row.length;
    };
    const [hard, joined] = [
      stepOf(await draw({ ...job, ...picture, blend: 'none' }, model)),
      stepOf(await draw({ ...job, ...picture }, model)),
    ];
    expect(Math.abs(joined)).toBeLessThan(0.5 * Math.abs(hard));
  });

  it('lets nothing of what was there through, unless it is feathered', async () => {
    const other = {
      ...image,
      data: image.data.map((v, i) => (mask.data[Math.floor(i / 3)] > 0 ? 255 - v : v)),
    };
    const [a, b] = [await draw({ ...job, feather: 2 }), await draw({ ...job, feather: 2, image: other })];
    expect(bytes(a)).not.toEqual(bytes(b));
    expect(bytes(await draw({ ...job, image: other }))).toEqual(bytes(await draw(job)));
  });
});

it.each(['ddpm', 'euler', 'dpmsolver'])('replaces with %s too', async (scheduler) => {
  const [picture] = await draw({ scheduler, method: 'replace' });
  expect(pixelsWhere(picture, mask, false)).toEqual(pixelsWhere(image, mask, false));
});

it('tells of every move, and stops between them with the pictures done before', async () => {
  const controller = new AbortController();
  const seen: [number, number][] = [];
  const kept: number[] = [];
  const stopped = draw({
    count: 2,
    signal: controller.signal,
    onStep: (done, total) => {
      seen.push([done, total]);
      if (done === 9) controller.abort(new Error('enough'));
    },
    onPicture: ({ seed }) => void kept.push(seed),
  });
  await expect(stopped).rejects.toThrow('enough');
  // 3 steps down, and twice (at 1 and 0 steps to go) one up and one down again.
  expect(seen).toEqual(Array.from({ length: 9 }, (_, i) => [i + 1, 14]));
  expect(kept).toEqual([4]);
});

it.each<[string, Partial<InpaintOptions>, RegExp]>([
  ['another size', { mask: boxMask(16, 15, [0, 0, 3, 3]) }, /the mask is 16×15, the picture 16×16/],
  ['black', { mask: boxMask(16, 16, [0, 0, 0, 0]) }, /black everywhere/],
  ['method', { method: 'magic' as 'replace' }, /magic is unknown — --method — use replace, repaint/],
  ['area', { area: 'moon' as 'mask' }, /moon is unknown — --area — use auto, mask, whole/],
  ['blend', { blend: 'glue' as 'none' }, /glue is unknown — --blend — use poisson, none/],
  ['jumps', { jumps: 0 }, /0 is not possible — --jumps/],
  ['jumpLength', { jumpLength: 1.5 }, /1.5 is not possible — --jump-length/],
  ['feather', { feather: -1 }, /-1 is not possible — --feather/],
  ['feather', { feather: Number.NaN }, /NaN is not possible — --feather/],
  ['count', { count: 0 }, /--count/],
  ['seed', { seed: -1 }, /--seed/],
  ['label', { label: 'dragon' }, /the label dragon is unknown — --label — use one of ant, bee, cat/],
  [
    'scheduler',
    { scheduler: 'euler' },
    /repaint cannot go back up with EulerDiscreteScheduler — --scheduler/,
  ],
  ['eta', { eta: 2 }, /eta/],
])('refuses %s', async (_, options, message) => {
  const refused = draw(options);
  await expect(refused).rejects.toThrow(InputError);
  await expect(refused).rejects.toThrow(message);
});
