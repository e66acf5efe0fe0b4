import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { InputError, RunError } from '../../src/errors.js';
import { toBytes } from '../../src/image/index.js';
import {
  DiffusionPipeline,
  denoise,
  findModel,
  type GeneratedPicture,
  type GenerateOptions,
  shippedModels,
} from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { labelled, latent, type TinyModel, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
let pipeline: DiffusionPipeline | undefined;
const open = async (name: string) => {
  pipeline = await DiffusionPipeline.fromPretrained(at(name), { threads: 1 });
  return pipeline;
};
beforeAll(async () => {
  await writeTiny(at('labelled'), labelled);
  await writeTiny(at('latent'), latent);
  await writeTiny(at('plain'), {});
}, 60_000);
afterEach(async () => {
  await pipeline?.dispose();
  pipeline = undefined;
});

const bytes = (pictures: readonly GeneratedPicture[]) =>
  pictures.map((p) => Buffer.from(p.data).toString('hex'));

describe('generate', () => {
  it.each(['labelled', 'latent'])('gives a seed the same bytes in any company: %s', async (name) => {
    const model = await open(name);
    const options = { steps: 3, eta: 0.5 };
    const five = await model.generate({ ...options, count: 5, seed: 40 });
    expect(five.map((p) => p.seed)).toEqual([40, 41, 42, 43, 44]);
    expect(new Set(bytes(five)).size).toBe(5);
    expect(five[0]).toMatchObject({ width: 16, height: 16 });
    const three = await model.generate({ ...options, count: 3, seed: 41 });
    expect(bytes(three)).toEqual(bytes(five.slice(1, 4)));
    expect(three.map((p) => p.label)).toEqual(five.slice(1, 4).map((p) => p.label));
    const one = await model.generate({ ...options, seed: 44 });
    expect(bytes(one)).toEqual(bytes(five.slice(4)));
  });

  it('is the denoising loop from the seed’s own noise', async () => {
    const model = await open('plain');
    const [picture] = await model.generate({ seed: 9, steps: 3, eta: 1 });
    const random = new Random(9);
    const sample = await denoise({
      denoiser: model.denoiser,
      scheduler: model.schedulerFor({ steps: 3 }),
      sample: random.fork('latents').normal(768),
      size: [16, 16],
      condition: { label: null, nullLabel: null, guidanceScale: 1 },
      eta: 1,
      noise: (index) => random.fork('variance', index).normal(768),
    });
    expect(picture.data).toEqual(toBytes(sample));
    expect(picture.label).toBeNull();
  });

  it('takes labels in turn, by name or index, and lets the seed choose one by default', async () => {
    const model = await open('labelled');
    const labelsOf = (options: GenerateOptions) => model.plan(options).map((p) => p.label);
    expect(labelsOf({ count: 4, label: ['cat', 0] })).toEqual(['cat', 'ant', 'cat', 'ant']);
    const chosen = labelsOf({ count: 60, seed: 5 });
    expect(new Set(chosen)).toEqual(new Set(['ant', 'bee', 'cat']));
    expect(labelsOf({ count: 10, seed: 8 })).toEqual(chosen.slice(3, 13));
    const [byName] = await model.generate({ label: 'bee' });
    const [byIndex] = await model.generate({ label: 1 });
    const [other] = await model.generate({ label: 'cat' });
    expect(bytes([byName])).toEqual(bytes([byIndex]));
    expect(bytes([byName])).not.toEqual(bytes([other]));
  });

  it('guides by default as the model says, and changes the picture', async () => {
    const model = await open('labelled');
    const draw = async (guidanceScale?: number) =>
      bytes(await model.generate({ label: 'ant', guidanceScale }));
    expect(await draw()).toEqual(await draw(2));
    expect(await draw(1)).not.toEqual(await draw(2));
    // The null class by its index is the unconditional picture, with or without guidance.
    expect(model.condition(0, 3)).toMatchObject({ label: 3, guidanceScale: 2 });
    expect(await draw(0)).toEqual(bytes(await model.generate({ label: 3 })));
  });

  it('draws other sizes that the network can have', async () => {
    const model = await open('latent');
    const [wide] = await model.generate({ size: [8, 24], steps: 2 });
    expect([wide.height, wide.width, wide.data.length]).toEqual([8, 24, 8 * 24 * 3]);
    await expect(model.generate({ size: 18 })).rejects.toThrow(/18×18 are not possible.*multiples of 4/);
  });

  it('tells of each step, with a preview', async () => {
    const model = await open('latent');
    const seen: number[][] = [];
    let preview: Uint8Array | undefined;
    const [, last] = await model.generate({
      count: 2,
      steps: 3,
      onStep: async (progress) => {
        seen.push([progress.picture, progress.step, progress.steps, progress.timestep]);
        preview = (await progress.preview()).data;
      },
    });
    const timesteps = model.schedulerFor({ steps: 3 }).timesteps;
    expect(seen).toEqual([0, 1].flatMap((p) => [1, 2, 3].map((s) => [p, s, 3, timesteps[s - 1]])));
    // DDIM's last step ends at the picture that the model sees.
    expect(preview).toEqual(last.data);
  });

  it('stops between steps and keeps what is done', async () => {
    const model = await open('plain');
    const controller = new AbortController();
    const kept: GeneratedPicture[] = [];
    const work = model.generate({
      count: 3,
      steps: 4,
      signal: controller.signal,
      onStep: ({ picture, step }) => {
        if (picture === 1 && step === 2) controller.abort(new Error('enough'));
        expect([picture, step]).not.toEqual([1, 3]);
      },
      onPicture: (picture) => {
        kept.push(picture);
      },
    });
    await expect(work).rejects.toThrow('enough');
    expect(kept.map((p) => p.seed)).toEqual([0]);
  });

  it('draws with every scheduler', async () => {
    const model = await open('labelled');
    for (const scheduler of ['ddpm', 'ddim', 'euler', 'dpmsolver', 'DDPMScheduler']) {
      const [picture] = await model.generate({ scheduler, steps: 2 });
      expect(picture.data.length).toBe(768);
    }
  });

  it('draws in grey by a model of one channel', async () => {
    await writeTiny(at('grey'), { unet: { in_channels: 1, out_channels: 1 } });
    const [{ data }] = await (await open('grey')).generate({ steps: 2 });
    expect(data.length).toBe(768);
    expect(data.every((v, i) => v === data[i - (i % 3)])).toBe(true);
    expect(new Set(data).size).toBeGreaterThan(20);
  });

  it('stops when the numbers stop being numbers', async () => {
    await writeTiny(at('exploded'), { scale: 1e18 });
    const error = await (await open('exploded')).generate({ steps: 4 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RunError);
    expect((error as Error).message).toMatch(/became NaN/);
  });

  it.each([
    [{ count: 0 }, /--count/],
    [{ count: 1.5 }, /--count/],
    [{ seed: -1 }, /seed -1 is not possible/],
    [{ seed: 2 ** 60 }, /--seed/],
    [{ steps: 0 }, /0 steps/],
    [{ steps: 1001 }, /1 to 1000/],
    [{ scheduler: 'magic' }, /'magic' is unknown.*ddim/],
    [{ eta: 1.5 }, /--eta — give a number from 0 to 1/],
    [{ scheduler: 'euler', eta: -1 }, /--eta/],
    [{ guidanceScale: -1 }, /--guidance/],
    [{ guidanceScale: Number.NaN }, /--guidance/],
    [{ label: 'dog' }, /dog is unknown.*use one of ant, bee, cat/],
    [{ label: 4 }, /4 is unknown/],
    [{ label: '' }, /unknown/],
    [{ size: 15 }, /multiples of 2/],
    [{ size: 0 }, /multiples of 2/],
  ] as [GenerateOptions, RegExp][])('refuses %j', async (options, message) => {
    const model = await open('labelled');
    expect(() => model.plan(options)).toThrow(InputError);
    await expect(model.generate(options)).rejects.toThrow(message);
  });

  it('visits only timesteps that the network knows', async () => {
    await writeTiny(at('fourier'), { unet: { time_embedding_type: 'fourier' } });
    const model = await open('fourier');
    expect(() => model.plan({ scheduler: 'ddim', steps: 4 })).toThrow(/^timestep 0 .*fourier.* --scheduler /);
    const [{ data }] = await model.generate({ scheduler: 'dpmsolver', steps: 4 });
    expect(new Set(data).size).toBeGreaterThan(1);
    await writeTiny(at('learned'), { unet: { time_embedding_type: 'learned', num_train_timesteps: 900 } });
    const table = await open('learned');
    expect(() => table.plan({ scheduler: 'dpmsolver', steps: 4 })).toThrow(/^timestep 9\d\d .*below 900/);
    await table.generate({ scheduler: 'ddim', steps: 5 });
  });

  it('refuses labels and guidance where the model has none', async () => {
    const model = await open('plain');
    expect(() => model.plan({ label: 'ant' })).toThrow(/has no labels/);
    expect(() => model.plan({ guidanceScale: 3 })).toThrow(/not trained for guidance/);
  });
});

describe('fromPretrained', () => {
  it('opens a plain diffusers directory: labels are numbers, guidance needs a null class', async () => {
    await writeTiny(at('numbered'), { unet: { num_class_embeds: 2 } });
    const model = await open('numbered');
    expect(model.labels).toEqual(['0', '1']);
    expect(model.schedulerFor({}).timesteps.length).toBe(50);
    expect(() => model.plan({ guidanceScale: 2 })).toThrow(/not trained for guidance/);
    expect(model.plan({ label: '1' })[0]).toMatchObject({ label: '1', condition: { label: 1 } });
  });

  it('has no labels in the place of the null class', async () => {
    await writeTiny(at('unnamed'), { unet: { num_class_embeds: 3 }, sumi: { null_label: 2 } });
    expect((await open('unnamed')).labels).toEqual(['0', '1']);
  });

  it.each([
    [{ sumi: { labels: ['a'] } }, undefined],
    [{ unet: { num_class_embeds: 2 }, sumi: { labels: ['a', 'b', 'c'] } }, /3 labels.* 2 classes/],
    [{ unet: { num_class_embeds: 2 }, sumi: { labels: ['a', 'b'], null_label: 1 } }, /null_label 1/],
    [{ unet: { num_class_embeds: 2 }, sumi: { labels: ['a'], null_label: 2 } }, /null_label 2/],
    [{ unet: { num_class_embeds: 2 }, sumi: { labels: ['a'], null_label: 1.5 } }, /null_label 1.5/],
    [{ unet: { num_class_embeds: 2 }, sumi: { labels: [] } }, /0 labels/],
    [{ unet: { class_embed_type: 'timestep' } }, /class_embed_type timestep/],
    [{ unet: { out_channels: 6 } }, /learned variances/],
    [{ unet: { in_channels: 4, out_channels: 4 } }, /add the autoencoder/],
    [{ ...latent, unet: { ...latent.unet, in_channels: 3, out_channels: 3 } }, /autoencoder on 4/],
  ] as [TinyModel, RegExp | undefined][])(
    'a model that does not fit together: %#',
    async (model, message) => {
      const dir = await writeTiny(at('misfit'), model);
      const opened = DiffusionPipeline.fromPretrained(dir);
      if (message) {
        await expect(opened).rejects.toThrow(InputError);
        await expect(opened).rejects.toThrow(message);
      } else await (await opened).dispose();
    },
  );

  it('refuses weights that are missing, cut short, or not numbers', async () => {
    const dir = await writeTiny(at('broken'), {});
    const weights = `${dir}/unet/diffusion_pytorch_model.safetensors`;
    const whole = await readFile(weights);
    await writeFile(weights, whole.subarray(0, whole.length - 100));
    await expect(DiffusionPipeline.fromPretrained(dir)).rejects.toThrow(InputError);
    const poisoned = Buffer.from(whole);
    poisoned.writeFloatLE(Number.NaN, whole.length - 4);
    await writeFile(weights, poisoned);
    await expect(DiffusionPipeline.fromPretrained(dir)).rejects.toThrow(/NaN or infinite/);
    const config = JSON.parse(await readFile(`${dir}/unet/config.json`, 'utf8'));
    await writeFile(`${dir}/unet/config.json`, JSON.stringify({ ...config, layers_per_block: 2 }));
    await expect(DiffusionPipeline.fromPretrained(dir)).rejects.toThrow(/missing/);
  });

  it('names the models there are when one is not', async () => {
    await expect(DiffusionPipeline.fromPretrained('no-such-model')).rejects.toThrow(
      new RegExp(`no model no-such-model — --model — name a folder${shippedModels().length ? ', or' : ''}`),
    );
    await mkdir(at('empty'));
    await expect(DiffusionPipeline.fromPretrained(at('empty'))).rejects.toThrow(/no checkpoint/);
    expect(await findModel(at('plain'))).toBe(at('plain'));
  });

  const [name] = shippedModels();
  it.skipIf(name === undefined)('prefers a model in the working directory, but no other folder', async () => {
    const before = process.cwd();
    await mkdir(at('cwd', name, 'pictures'), { recursive: true });
    process.chdir(at('cwd'));
    try {
      expect(await findModel(name)).toMatch(new RegExp(`models/${name}$`));
      await writeTiny(at('cwd', name), {});
      expect(await findModel(name)).toBe(name);
    } finally {
      process.chdir(before);
    }
  });
});
