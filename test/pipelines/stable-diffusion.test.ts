/** Whole runs against diffusers' StableDiffusionPipeline and its kin (test/fixtures/stable-diffusion/record.py). */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ReadTensor, readSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import type { TensorToWrite } from '../../src/checkpoint/writer.js';
import type { Engine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { type RgbPicture, toBytes } from '../../src/image/index.js';
import { DiffusionPipeline, type GenerateOptions, img2img, inpaint } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { boxMask, noisyPicture, pixelsWhere } from './pictures.js';
import { type StableCheckpoint, stableCheckpoints, writeStable } from './stable.js';
import { temporaryFolder } from './tiny.js';

const at = temporaryFolder();
let recorded: ReadonlyMap<string, ReadTensor>;
beforeAll(async () => {
  const runs = join(import.meta.dirname, '../fixtures/stable-diffusion/runs.safetensors');
  recorded = (await readSafetensors(runs)).tensors;
  for (const name of stableCheckpoints) await writeStable(at(name), name);
}, 60_000);

const numbers = (name: string) => recorded.get(name)?.data as Float32Array;
const image = (): RgbPicture => ({
  data: recorded.get('image')?.data as unknown as Uint8Array,
  width: 32,
  height: 32,
});

const told = { prompt: 'a photo of the cat, painted', negativePrompt: "the DOG's house!", steps: 6 };

let pipeline: DiffusionPipeline;
afterEach(async () => {
  vi.restoreAllMocks();
  await pipeline?.dispose();
});
const open = async (name: StableCheckpoint, engine?: Engine) => {
  pipeline = await DiffusionPipeline.fromPretrained(at(name), { threads: 1, engine });
};

/** Draws with the recorded noise in place of Sumi's, and compares what was decoded and what came of it. */
async function compare(name: string, draw: () => Promise<readonly RgbPicture[]>): Promise<void> {
  vi.spyOn(Random.prototype, 'normal').mockImplementation(() => numbers(`${name}.noise`).slice());
  const decode = vi.spyOn(pipeline.codec, 'decode');
  const [picture] = await draw();
  const [sample] = decode.mock.calls[0];
  const drawn = (await decode.mock.results[0].value) as Float32Array;
  const worst = (a: Float32Array, b: Float32Array) => {
    expect(a.length).toBe(b.length);
    return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
  };
  const size = numbers(`${name}.sample`).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const errors = [worst(sample, numbers(`${name}.sample`)) / size, worst(drawn, numbers(`${name}.picture`))];
  if (process.env.SUMI_SHOW_ERRORS) console.log(name, ...errors);
  expect(errors[0]).toBeLessThan(1e-4);
  expect(errors[1]).toBeLessThan(1e-3);
  const bytes = toBytes(numbers(`${name}.picture`));
  const most = picture.data.reduce((m, x, i) => Math.max(m, Math.abs(x - bytes[i])), 0);
  expect(most).toBeLessThanOrEqual(1);
}

describe('pictures as diffusers draws them', () => {
  it.each<[string, StableCheckpoint, GenerateOptions]>([
    ['pndm', 'sd1', { ...told }],
    ['ddim', 'sd1', { ...told, scheduler: 'ddim' }],
    ['euler', 'sd1', { ...told, scheduler: 'euler', guidanceScale: 4 }],
    ['dpmsolver', 'sd1', { ...told, scheduler: 'dpmsolver', guidanceScale: 2 }],
    ['plain', 'sd1', { steps: 6, prompt: '', scheduler: 'ddim', guidanceScale: 1 }],
    ['v', 'sd2', { steps: 6, prompt: 'a cat! the dog'.repeat(9), guidanceScale: 3, size: [40, 24] }],
  ])('from texts: %s', async (name, checkpoint, options) => {
    await open(checkpoint);
    await compare(name, () => pipeline.generate(options));
  });

  it('from a text on an eager engine', async () => {
    await open('sd1', 'wasm');
    await compare('pndm', () => pipeline.generate(told));
  });

  it('from a picture and a text', async () => {
    await open('sd1');
    const options = { ...told, scheduler: 'ddim', strength: 0.7, guidanceScale: 5 };
    await compare('img2img', () => img2img(pipeline, { ...options, image: image() }));
  });

  it.each([
    ['paint', {}],
    ['paint-euler', { scheduler: 'euler', guidanceScale: 3 }],
  ])('into a picture: %s', async (name, options) => {
    await open('paint');
    const mask = boxMask(32, 32, [16, 8, 32, 24]);
    // What is kept is the picture itself: compare what the network drew, before it is laid over the picture.
    await compare(name, async () => {
      const [painted] = await inpaint(pipeline, { ...told, ...options, image: image(), mask });
      expect(pixelsWhere(painted, mask, false)).toEqual(pixelsWhere(image(), mask, false));
      return [{ ...painted, data: toBytes(numbers(`${name}.picture`)) }];
    });
  });
});

describe('a model of texts', () => {
  it('draws what it is told, and away from what it is not to draw', async () => {
    await open('sd1');
    const draw = async (options: GenerateOptions) => {
      const [{ data }] = await pipeline.generate({ steps: 2, seed: 3, ...options });
      return Buffer.from(data).toString('base64');
    };
    const cat = await draw({ prompt: 'cat' });
    expect(await draw({ prompt: 'cat', negativePrompt: '', guidanceScale: 7.5 })).toBe(cat);
    const others = [
      { prompt: 'dog' },
      { prompt: 'cat', negativePrompt: 'dog' },
      { prompt: 'cat', guidanceScale: 2 },
    ];
    for (const options of others) expect(await draw(options)).not.toBe(cat);
    // Guidance towards and away from the same is none.
    const same = await draw({ prompt: 'cat', negativePrompt: 'cat' });
    expect(same).toBe(await draw({ prompt: 'cat', guidanceScale: 1 }));
  });

  it('fills in without having been trained for it', async () => {
    await open('sd2');
    const [picture, mask] = [noisyPicture(40, 32), boxMask(40, 32, [4, 4, 20, 20])];
    for (const method of ['replace', 'repaint'] as const) {
      const options = { prompt: 'the cat', image: picture, mask, method, steps: 2 };
      const [painted] = await inpaint(pipeline, options);
      expect(pixelsWhere(painted, mask, false)).toEqual(pixelsWhere(picture, mask, false));
      expect(pixelsWhere(painted, mask, true)).not.toEqual(pixelsWhere(picture, mask, true));
    }
  });

  it('opens in half precision, in whichever file', async () => {
    const dir = await writeStable(at('half'), 'sd1', 'F16');
    const file = (name: string) => join(dir, 'text_encoder', name);
    await writeFile(file('model.fp16.safetensors'), await readFile(file('model.safetensors')));
    await rm(file('model.safetensors'));
    pipeline = await DiffusionPipeline.fromPretrained(dir, { threads: 1 });
    const [picture] = await pipeline.generate({ prompt: 'a cat', steps: 1 });
    expect(picture).toMatchObject({ width: 32, height: 32, label: null });
  });

  it('opens shards of its text encoder, with what is no parameter in them', async () => {
    const dir = await writeStable(at('shards'), 'sd1');
    const file = (name: string) => join(dir, 'text_encoder', name);
    const { tensors } = await readSafetensors(file('model.safetensors'));
    const positions = { shape: [1, 16], data: BigInt64Array.from({ length: 16 }, (_, i) => BigInt(i)) };
    const all: [string, TensorToWrite][] = [['text_model.embeddings.position_ids', positions], ...tensors];
    const map: Record<string, string> = {};
    for (const [i, part] of [all.slice(0, 9), all.slice(9)].entries()) {
      const name = `model-0000${i + 1}-of-00002.safetensors`;
      await writeSafetensors(file(name), new Map(part));
      for (const [tensor] of part) map[tensor] = name;
    }
    await writeFile(file('model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    await rm(file('model.safetensors'));
    pipeline = await DiffusionPipeline.fromPretrained(dir, { threads: 1 });
    await compare('pndm', () => pipeline.generate(told));
  });

  it.each<[string, GenerateOptions, RegExp]>([
    ['sd1', {}, /no text to draw from — --prompt/],
    ['sd1', { prompt: 'a', label: 'cat' }, /texts, not labels — --label cat — use --prompt/],
    ['sd1', { prompt: 'a', size: 36 }, /36×36 are not possible — --size — use multiples of 8/],
    ['sd1', { prompt: 'a', size: [32, 4] }, /use multiples of 8/],
    ['sd1', { prompt: 'a', guidanceScale: -1 }, /guidance of -1/],
  ])('refuses, %s: %j', async (name, options, message) => {
    await open(name as StableCheckpoint);
    const drawn = pipeline.generate({ steps: 1, ...options });
    await expect(drawn).rejects.toThrow(InputError);
    await expect(drawn).rejects.toThrow(message);
  });

  it('that fills in draws whole pictures as it fills in whole ones, and takes no method', async () => {
    await open('paint');
    const all = boxMask(32, 32, [0, 0, 32, 32]);
    const [filled] = await inpaint(pipeline, { prompt: 'a', image: image(), mask: all, steps: 2 });
    const [drawn] = await pipeline.generate({ prompt: 'a', steps: 2 });
    expect(Buffer.from(drawn.data)).toEqual(Buffer.from(filled.data));
    const [again] = await img2img(pipeline, {
      prompt: 'a',
      image: image(),
      strength: 1,
      steps: 2,
      scheduler: 'ddim',
    });
    const [plain] = await pipeline.generate({ prompt: 'a', steps: 2, scheduler: 'ddim' });
    expect(Buffer.from(again.data)).toEqual(Buffer.from(plain.data));
    const mask = boxMask(32, 32, [0, 0, 8, 8]);
    const inpainting = inpaint(pipeline, { prompt: 'a', image: image(), mask, method: 'repaint' });
    await expect(inpainting).rejects.toThrow(/method repaint is for models.*--method/);
  });
});

describe('a checkpoint of which something is wrong', () => {
  const broken = async (name: string, harm: (dir: string) => Promise<unknown>) => {
    const dir = await writeStable(at(name), 'sd1');
    await harm(dir);
    return DiffusionPipeline.fromPretrained(dir);
  };
  const edit = async (file: string, change: Record<string, unknown>) =>
    writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }));
  const remove = (...names: string[]) => rm(join(...names), { recursive: true });

  it.each<[string, (dir: string) => Promise<unknown>, RegExp]>([
    ['no-text', (dir) => remove(dir, 'text_encoder'), /no text_encoder — .*text_encoder — copy the whole/],
    ['no-tokenizer', (dir) => remove(dir, 'tokenizer'), /no tokenizer — .*tokenizer — copy the whole/],
    ['no-vocab', (dir) => remove(dir, 'tokenizer/vocab.json'), /no tokenizer file — .*vocab\.json/],
    ['no-weights', (dir) => remove(dir, 'text_encoder/model.safetensors'), /model\.safetensors is missing/],
    [
      'width',
      (dir) => edit(join(dir, 'text_encoder/config.json'), { hidden_size: 64 }),
      /gives 64 channels \(hidden_size\), the UNet wants 32 \(cross_attention_dim\)/,
    ],
    [
      'vocabulary',
      (dir) => edit(join(dir, 'text_encoder/config.json'), { vocab_size: 600 }),
      /the tokenizer has a token 633, the text encoder 600/,
    ],
    [
      'class',
      (dir) => edit(join(dir, 'text_encoder/config.json'), { architectures: ['T5EncoderModel'] }),
      /a T5EncoderModel is not supported — .* — use a checkpoint with a CLIPTextModel/,
    ],
    ['channels', (dir) => edit(join(dir, 'unet/config.json'), { in_channels: 8 }), /takes 8 channels and/],
  ])('%s', async (name, harm, message) => {
    const opened = broken(name, harm);
    await expect(opened).rejects.toThrow(InputError);
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toThrow(/^[^\n]+ — [^\n]+ — [^\n]+$/);
  });
});
