/** Ways of guidance in whole pictures: where one is another, or none, the pictures are the same. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { InputError } from '../../src/errors.js';
import type { RgbPicture } from '../../src/image/index.js';
import { DiffusionPipeline, type GenerateOptions, img2img, inpaint } from '../../src/pipelines/index.js';
import type { Scheduler } from '../../src/schedulers/index.js';
import { boxMask, noisyPicture } from './pictures.js';
import { labelled, latent, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
const one = { threads: 1 };
let model: DiffusionPipeline;
beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  await writeTiny(at('weaker'), { ...labelled, scale: 0.8 });
  await writeTiny(at('plain'), {});
  await writeTiny(at('plainer'), { scale: 0.8 });
  await writeTiny(at('latent'), latent);
  await writeTiny(at('others'), { ...labelled, sumi: { ...labelled.sumi, labels: ['x', 'y', 'z'] } });
  model = await DiffusionPipeline.fromPretrained(at('model'), one);
}, 60_000);
afterAll(() => model.dispose());

const base: GenerateOptions = { label: 'ant', guidanceScale: 3, steps: 5, seed: 2 };
const draw = async (options: GenerateOptions = {}, pipeline = model): Promise<Uint8Array> => {
  const [picture] = await pipeline.generate({ ...base, ...options });
  return picture.data;
};
const furthest = (a: Uint8Array, b: Uint8Array) =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

/** Opens a model with a guide for the time of a test. */
async function guided<T>(guide: string, use: (pipeline: DiffusionPipeline) => Promise<T>, of = 'model') {
  const pipeline = await DiffusionPipeline.fromPretrained(at(of), { ...one, guide: at(guide) });
  try {
    return await use(pipeline);
  } finally {
    await pipeline.dispose();
  }
}

describe('an interval of guidance', () => {
  it('of everything is plain guidance, of nothing none, and of something between', async () => {
    const [plain, none] = [await draw(), await draw({ guidanceScale: 1 })];
    expect(await draw({ guidanceInterval: [0, Infinity] })).toEqual(plain);
    expect(await draw({ guidanceInterval: [1e6, Infinity] })).toEqual(none);
    const some = await draw({ guidanceInterval: [0.3, 3] });
    expect(some).not.toEqual(plain);
    expect(some).not.toEqual(none);
  });

  it.each([['ddim'], ['heun'], ['dpmsolver']])(
    'asks twice only where guidance is, with %s',
    async (scheduler) => {
      const pair = vi.spyOn(model.denoiser, 'pair');
      await draw({ scheduler, steps: 8, guidanceInterval: [0.3, 3] });
      const calls = pair.mock.calls.map(([, , timestep, condition]) => ({ timestep, ...condition }));
      pair.mockRestore();
      expect(new Set(calls.map(({ guidanceScale }) => guidanceScale))).toEqual(new Set([1, 3]));
      const { alphasCumprod } = model.schedulerFor({ scheduler, steps: 8 }) as Scheduler;
      for (const { timestep, guidanceScale } of calls) {
        const alphaProd = alphasCumprod[Math.round(timestep)];
        const sigma = Math.sqrt(1 / alphaProd - 1);
        if (sigma > 0.31 && sigma < 2.9) expect(guidanceScale).toBe(3);
        if (sigma < 0.29 || sigma > 3.1) expect(guidanceScale).toBe(1);
      }
    },
  );
});

describe('projected guidance', () => {
  it.each([['ddim'], ['euler'], ['unipc']])(
    'without its three parts is plain guidance, with %s',
    async (scheduler) => {
      const apg = { eta: 1, momentum: 0 };
      expect(furthest(await draw({ scheduler, apg }), await draw({ scheduler }))).toBeLessThanOrEqual(1);
      expect(furthest(await draw({ scheduler, apg: {} }), await draw({ scheduler }))).toBeGreaterThan(1);
    },
  );

  it('remembers nothing of the picture before', async () => {
    const series = await model.generate({ ...base, count: 2, apg: {} });
    expect(series[1].data).toEqual(await draw({ seed: 3, apg: {} }));
  });
});

describe('rescaled guidance', () => {
  it('changes pictures as far as it is told', async () => {
    const plain = await draw();
    expect(await draw({ guidanceRescale: 0 })).toEqual(plain);
    const [some, all] = [await draw({ guidanceRescale: 0.3 }), await draw({ guidanceRescale: 1 })];
    expect(some).not.toEqual(plain);
    expect(furthest(all, plain)).toBeGreaterThan(furthest(some, plain));
  });
});

describe('autoguidance', () => {
  it('by the model itself is none', async () => {
    const none = await draw({ guidanceScale: 1 });
    await guided('model', async (pipeline) => expect(await draw({}, pipeline)).toEqual(none));
  });

  it('at weight 0 draws what the guide draws, and beyond 1 what neither does', async () => {
    const weaker = await DiffusionPipeline.fromPretrained(at('weaker'), one);
    const theirs = await draw({ guidanceScale: 1 }, weaker);
    await weaker.dispose();
    await guided('weaker', async (pipeline) => {
      expect(await draw({ guidanceScale: 0 }, pipeline)).toEqual(theirs);
      const beyond = await draw({}, pipeline);
      for (const other of [theirs, await draw({ guidanceScale: 1 }), await draw()])
        expect(beyond).not.toEqual(other);
      // Its own weight is the model's.
      expect(pipeline.plan({ label: 'ant' })[0].condition.guidanceScale).toBe(2);
    });
  });

  it('needs no labels', async () => {
    await guided(
      'plainer',
      async (pipeline) => {
        expect(pipeline.plan()[0].condition.guidanceScale).toBe(2);
        const [a, b] = [
          await pipeline.generate({ steps: 3 }),
          await pipeline.generate({ steps: 3, guidanceScale: 4 }),
        ];
        expect(a[0].data).not.toEqual(b[0].data);
      },
      'plain',
    );
  });

  it.each([
    [
      'plain',
      /the guide knows the labels none, the model ant, bee, cat — --guide .*plain — use an earlier or/,
    ],
    ['others', /the guide knows the labels x, y, z, the model ant/],
    ['latent', /the guide works on 4 channels, the model on 3/],
    ['nowhere', /^no model .*nowhere — --guide — name a folder/],
  ])('is not by %s', async (guide, message) => {
    const opening = DiffusionPipeline.fromPretrained(at('model'), { ...one, guide: at(guide) });
    await expect(opening).rejects.toThrow(InputError);
    await expect(opening).rejects.toThrow(message);
  });
});

describe('a negative label', () => {
  it('is what guidance leads away from', async () => {
    // Weight 0 is what it leads away from; class 3 is that of no label.
    expect(
      furthest(
        await draw({ negativeLabel: 'cat', guidanceScale: 0 }),
        await draw({ label: 'cat', guidanceScale: 1 }),
      ),
    ).toBeLessThanOrEqual(1);
    expect(await draw({ negativeLabel: 3 })).toEqual(await draw());
    expect(await draw({ negativeLabel: 'cat' })).not.toEqual(await draw());
  });
});

describe('pictures that are changed', () => {
  const image = (): RgbPicture => noisyPicture(16, 16);
  const ways: [string, Partial<GenerateOptions>][] = [
    ['interval', { guidanceInterval: [0.3, 3] }],
    ['rescale', { guidanceRescale: 0.7 }],
    ['apg', { apg: {} }],
    ['negative label', { negativeLabel: 'cat' }],
    ['rng', { rng: 'torch' }],
  ];
  const same = { label: 'ant', guidanceScale: 3, steps: 5 };

  it.each(ways)('take the same options: %s', async (_, way) => {
    const changed = async (options: object) =>
      (await img2img(model, { ...same, ...options, image: image() }))[0];
    expect((await changed(way)).data).not.toEqual((await changed({})).data);
    const mask = boxMask(16, 16, [4, 4, 12, 12]);
    for (const method of ['replace', 'repaint'] as const) {
      const filled = async (options: object) =>
        (await inpaint(model, { ...same, ...options, method, image: image(), mask }))[0];
      expect((await filled(way)).data).not.toEqual((await filled({})).data);
    }
  });

  it('take churn', async () => {
    const euler = { ...same, scheduler: 'euler', image: image(), eta: 0 };
    const mask = boxMask(16, 16, [4, 4, 12, 12]);
    const drawn = async (options: object) => [
      ...(await img2img(model, { ...euler, ...options })),
      ...(await inpaint(model, { ...euler, ...options, method: 'replace', mask })),
    ];
    const [plain, churned] = [await drawn({}), await drawn({ churn: { amount: 3 } })];
    for (const [i, { data }] of churned.entries()) expect(data).not.toEqual(plain[i].data);
  });

  it('are led by a guide, too', async () => {
    const mask = boxMask(16, 16, [4, 4, 12, 12]);
    await guided('weaker', async (pipeline) => {
      const [led] = await inpaint(pipeline, { ...same, image: image(), mask });
      const [own] = await inpaint(model, { ...same, image: image(), mask });
      expect(led.data).not.toEqual(own.data);
    });
  });
});

describe('churn', () => {
  it('of 0 is none, adds noise at the levels that it is given, and belongs to Euler', async () => {
    const euler = { scheduler: 'euler' };
    const plain = await draw(euler);
    expect(await draw({ ...euler, churn: { amount: 0 } })).toEqual(plain);
    expect(await draw({ ...euler, churn: { amount: 3, min: 1e6 } })).toEqual(plain);
    expect(await draw({ ...euler, churn: { amount: 3 } })).not.toEqual(plain);
    expect(() => model.plan({ ...base, scheduler: 'heun', churn: { amount: 3 } })).toThrow(
      /^HeunDiscreteScheduler takes no churn — --s-churn — leave it out, or use --scheduler euler$/,
    );
    expect(() => model.plan({ ...base, ...euler, churn: { amount: 3, min: 2, max: 1 } })).toThrow(
      /--s-tmax — give a number of --s-tmin or more/,
    );
  });
});

describe('what guidance cannot do', () => {
  it.each<[Partial<GenerateOptions>, RegExp]>([
    [{ guidanceRescale: 2 }, /^2 is not possible — --guidance-rescale — give a number from 0 to 1$/],
    [{ guidanceInterval: [3, 1] }, /^3 to 1 is no interval of noise levels — --guidance-interval/],
    [{ apg: { eta: -1 } }, /--apg-eta/],
    [{ negativeLabel: 'dog' }, /^the label dog is unknown — --negative-label — use one of ant, bee, cat$/],
    [
      { guidanceScale: 1, guidanceRescale: 0.5 },
      /^--guidance-rescale changes nothing without guidance — --guidance —/,
    ],
    [{ guidanceScale: 1, guidanceInterval: [0, 1] }, /^--guidance-interval changes nothing/],
    [{ guidanceScale: 1, apg: {} }, /^--apg changes nothing/],
    [{ guidanceScale: 1, negativeLabel: 'cat' }, /^--negative-label changes nothing/],
  ])('%o', (options, message) => {
    expect(() => model.plan({ ...base, ...options })).toThrow(InputError);
    expect(() => model.plan({ ...base, ...options })).toThrow(message);
  });

  it('without labels, and two things at once', async () => {
    const plain = await DiffusionPipeline.fromPretrained(at('plain'), one);
    expect(() => plain.plan({ negativeLabel: 'cat' })).toThrow(
      /the model has no labels — --negative-label cat/,
    );
    expect(() => plain.plan({ guidanceRescale: 0.5 })).toThrow(/changes nothing without guidance/);
    await plain.dispose();
    await guided('weaker', async (pipeline) => {
      expect(() => pipeline.plan({ negativeLabel: 'cat' })).toThrow(
        /leads away from one thing — --guide and --negative-label — leave one out/,
      );
      expect(() => pipeline.plan({ guidanceScale: 1 })).toThrow(/^--guide changes nothing without guidance/);
    });
  });
});
