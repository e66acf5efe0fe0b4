/** Pictures that diffusers draws from a seed, drawn again (test/fixtures/torch/record.py): the noise is torch's, too. */
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ReadTensor, readSafetensors } from '../../src/checkpoint/safetensors.js';
import { InputError } from '../../src/errors.js';
import type { RgbPicture } from '../../src/image/index.js';
import {
  DiffusionPipeline,
  img2img,
  inpaint,
  noiseOf,
  type PlanOptions,
  type Rng,
} from '../../src/pipelines/index.js';
import { boxMask } from './pictures.js';
import { type StableCheckpoint, stableCheckpoints, writeStable } from './stable.js';
import { temporaryFolder } from './tiny.js';

interface Case {
  command: 'generate' | 'img2img' | 'inpaint';
  model: string;
  config?: Record<string, unknown>;
  options: Record<string, unknown>;
}

const fixtures = join(import.meta.dirname, '../fixtures');
const cases: Case[] = JSON.parse(readFileSync(join(fixtures, 'torch/cases.json'), 'utf8'));
const at = temporaryFolder();

let recorded: ReadonlyMap<string, ReadTensor>;
beforeAll(async () => {
  recorded = (await readSafetensors(join(fixtures, 'torch/pictures.safetensors'))).tensors;
}, 60_000);
const bytes = (name: string) => recorded.get(name)?.data as unknown as Uint8Array;

let pipeline: DiffusionPipeline | undefined;
afterEach(async () => {
  await pipeline?.dispose();
  pipeline = undefined;
});

/** The checkpoint of a case, with keys of its scheduler's config changed. */
async function modelOf({ model, config = {} }: Case, name: string): Promise<string> {
  if (!(stableCheckpoints as readonly string[]).includes(model)) return join(fixtures, 'checkpoint', model);
  const dir = await writeStable(at(name), model as StableCheckpoint);
  const file = join(dir, 'scheduler/scheduler_config.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...config }));
  return dir;
}

const told = { prompt: 'a photo of the cat, painted', negativePrompt: "the DOG's house!" };
const mask = boxMask(32, 32, [16, 8, 32, 24]);

function draw(
  pipeline: DiffusionPipeline,
  { command, options }: Case,
  batchSize?: number,
): Promise<readonly RgbPicture[]> {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
  const texts = pipeline.model.text ? told : {};
  const all = { rng: 'torch' as const, batchSize, ...texts, ...(given as PlanOptions) };
  const image = { data: bytes('image'), width: 32, height: 32 };
  if (command === 'img2img') return img2img(pipeline, { ...all, image, strength: given.strength as number });
  if (command === 'inpaint') return inpaint(pipeline, { ...all, image, mask, blend: 'none' });
  return pipeline.generate(all);
}

const short = ({ command, model, config, options }: Case): string =>
  `${command} ${model} ${JSON.stringify({ ...config, ...options }, (_, v) => v ?? undefined)}`;

describe('diffusers’ pictures of a seed', () => {
  const named = cases.map((c, i) => [short(c), c, String(i)] as const);

  /** The largest difference to diffusers' pictures of a case. */
  async function furthest(c: Case, name: string, batchSize?: number): Promise<number> {
    pipeline = await DiffusionPipeline.fromPretrained(await modelOf(c, name), { threads: 1 });
    const pictures = await draw(pipeline, c, batchSize);
    const expected = bytes(name);
    const size = pictures[0].data.length;
    expect(pictures.length * size).toBe(expected.length);
    let worst = 0;
    for (const [n, picture] of pictures.entries()) {
      for (let i = 0; i < size; i++) {
        // What is kept is the picture itself in Sumi, and decoded latents in diffusers.
        if (c.command === 'inpaint' && mask.data[Math.floor(i / 3)] === 0) continue;
        worst = Math.max(worst, Math.abs(picture.data[i] - expected[n * size + i]));
      }
    }
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, short(c), worst);
    return worst;
  }

  it.each(named)('%s', async (_, c, name) => {
    expect(await furthest(c, name)).toBeLessThanOrEqual(1);
  });

  it.each(named.filter(([, c]) => Number(c.options.count) > 1))('in a batch: %s', async (_, c, name) => {
    expect(await furthest(c, name, 2)).toBeLessThanOrEqual(1);
  });

  it('are not those of Sumi’s own generator, nor of another seed', async () => {
    const [c] = cases;
    pipeline = await DiffusionPipeline.fromPretrained(await modelOf(c, 'other'), { threads: 1 });
    for (const change of [{ rng: 'sumi' }, { seed: 3 }]) {
      const [picture] = await draw(pipeline, { ...c, options: { ...c.options, ...change } });
      const far = picture.data.some((x, i) => Math.abs(x - bytes('0')[i]) > 20);
      expect(far).toBe(true);
    }
  });
});

describe('the noise of a picture', () => {
  it('is torch’s [C, H, W] with the channels last, each draw going on', () => {
    const whole = noiseOf('torch', 5, [1, 1, 40]);
    const shaped = noiseOf('torch', 5, [4, 5, 2]);
    for (let turn = 0; turn < 2; turn++) {
      const [flat, pixels] = [whole('a'), shaped('a')];
      for (let p = 0; p < 20; p++) for (const c of [0, 1]) expect(pixels[2 * p + c]).toBe(flat[20 * c + p]);
    }
  });

  it('of Sumi goes by the name alone', () => {
    const [a, b] = [noiseOf('sumi', 5, [1, 2, 3]), noiseOf(undefined, 5, [1, 2, 3])];
    a('first');
    expect(a('second', 1)).toEqual(b('second', 1));
    expect(a('first')).not.toEqual(b('second', 1));
  });

  it('comes from generators that there are', async () => {
    pipeline = await DiffusionPipeline.fromPretrained(await modelOf(cases[0], 'none'), { threads: 1 });
    expect(() => pipeline?.plan({ rng: 'numpy' as Rng })).toThrow(InputError);
    expect(() => pipeline?.plan({ rng: 'numpy' as Rng })).toThrow(/numpy is unknown — --rng/);
  });
});
