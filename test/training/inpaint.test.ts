/** Training models to fill in: what they see, where they start from, and that they are used as such. */
import { mkdir } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { readPipelineDir } from '../../src/checkpoint/index.js';
import type { Feed } from '../../src/engine/session.js';
import { writePng } from '../../src/image/index.js';
import { Codec } from '../../src/pipelines/codec.js';
import { Denoiser, DiffusionPipeline, inpaint } from '../../src/pipelines/index.js';
import { loadModel } from '../../src/pipelines/model.js';
import { Random } from '../../src/random.js';
import { box, randomHole, strokes } from '../../src/training/holes.js';
import { parseTrainConfig, resumeTraining, settingsOf, train } from '../../src/training/index.js';
import { weightsFrom } from '../../src/training/init.js';
import { Surroundings } from '../../src/training/surroundings.js';
import { openUNet } from '../../src/unet/index.js';
import { capture } from '../cli/capture.js';
import { boxMask, noisyPicture, pixelsWhere } from '../pipelines/pictures.js';
import { labelled, latent, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));

beforeAll(async () => {
  for (const label of ['ant', 'bee', 'cat']) {
    await mkdir(at('data', label), { recursive: true });
    for (const i of [0, 1]) await writePng(at('data', label, `${i}.png`), noisyPicture(16, 16, i));
  }
  await writeTiny(at('labelled'), labelled);
  await writeTiny(at('latent'), latent);
});

describe('holes', () => {
  it('are of all kinds, and the same again', () => {
    const side = 32;
    const share = (hole: Float32Array) => hole.reduce((sum, m) => sum + m, 0) / hole.length;
    const shares = Array.from({ length: 300 }, (_, i) => {
      const hole = randomHole(new Random(1, i), side);
      expect(hole.every((m) => m === 0 || m === 1)).toBe(true);
      expect([...randomHole(new Random(1, i), side)]).toEqual([...hole]);
      return share(hole);
    });
    const between = (from: number, to: number) => shares.filter((s) => s > from && s <= to).length;
    // Whole ones: 15 of 100, with three standard deviations.
    expect(Math.abs(between(0.99, 1) - 45)).toBeLessThan(19);
    expect(between(0, 0.05)).toBeGreaterThan(20);
    expect(between(0.25, 0.75)).toBeGreaterThan(30);
    expect(between(-1, 0)).toBe(0);
  });

  it('are strokes as wide as their brush, or rectangles where they are said to be', () => {
    for (let i = 0; i < 20; i++) {
      const hole = strokes(new Random(2, i), 64, { count: 1, brush: 2 });
      // No pixel has a whole 4×4 square of them around it but where lines meet: nearly none.
      let thick = 0;
      for (let y = 0; y < 60; y++)
        for (let x = 0; x < 60; x++) {
          const all = Array.from({ length: 16 }, (_, k) => hole[(y + (k >> 2)) * 64 + x + (k & 3)]);
          if (all.every((m) => m === 1)) thick++;
        }
      expect(thick).toBeLessThan(12);
    }
    expect([...box(4, [0.25, 0.5, 1, 0.75])]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]);
    expect([...box(2, [0.9, 0, 0.95, 0.1])].filter((m) => m === 1).length).toBeLessThanOrEqual(1);
  });
});

describe('what the network sees', () => {
  it.each(['labelled', 'latent'])('is the sample, the mask and what is kept: %s', async (name) => {
    const model = await loadModel(at(name));
    const codec = new Codec(model, { threads: 1 });
    const [side, n] = [16, 3];
    const { reduction } = codec;
    const cells = side / reduction;
    const c = model.unet.out_channels;
    const random = new Random(5, 'holes');
    const pictures = [0, 1, 2].map((i) => new Random(i).uniform(side * side * 3).map((u) => 2 * u - 1));
    const data = new Random(9).normal(n * cells * cells * c);
    const sample: Feed = { data, shape: [n, cells, cells, c], dtype: 'float32' };
    const seeing = new Surroundings(model.unet, model.autoencoder, side, random, { threads: 1 });
    const seen = await seeing.beside({ sample }, (k) => pictures[k], 7);
    expect(seen.sample.shape).toEqual([n, cells, cells, 2 * c + 1]);
    for (const [k, picture] of pictures.entries()) {
      const hole = randomHole(random.fork(7, k), side);
      const kept = picture.map((v, i) => v * (1 - hole[Math.floor(i / 3)]));
      const encoded = await codec.encode(kept, [side, side]);
      for (let p = 0; p < cells * cells; p++) {
        const [x, y] = [p % cells, Math.floor(p / cells)];
        let touched = 0;
        for (let v = 0; v < reduction; v++)
          for (let u = 0; u < reduction; u++)
            touched = Math.max(touched, hole[(y * reduction + v) * side + x * reduction + u]);
        const row = k * cells * cells + p;
        const expected = [
          ...data.subarray(row * c, (row + 1) * c),
          touched,
          ...encoded.subarray(p * c, (p + 1) * c),
        ];
        const found = (seen.sample.data as Float32Array).subarray(row * (2 * c + 1), (row + 1) * (2 * c + 1));
        expect([...found]).toEqual(expected.map((v) => Math.fround(v) + 0));
      }
    }
    await codec.dispose();
    await seeing.dispose();
  });
});

it('training starts from a network that predicts what the original does, whatever the mask', async () => {
  const model = await loadModel(at('labelled'));
  const wide = openUNet('UNet2DModel', { ...model.unet, in_channels: 7 }, 'test');
  const dir = await readPipelineDir(at('labelled'));
  const fresh = new Float32Array(wide.specs.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b), 0));
  const params = await weightsFrom(dir, wide, fresh);
  const [narrow, widened] = [
    new Denoiser(model.network, model.unetParams, { threads: 1 }),
    new Denoiser(wide, params, { threads: 1 }),
  ];
  const sample = new Random(1).normal(16 * 16 * 3);
  const condition = { label: 1, nullLabel: 3, guidanceScale: 1 };
  const wanted = await narrow.predict(sample, [16, 16], 300, condition);
  const channels = new Random(2).normal(16 * 16 * 4);
  const found = await widened.predict(sample, [16, 16], 300, { ...condition, channels });
  expect(Math.max(...found.map((v, i) => Math.abs(v - wanted[i])))).toBeLessThan(1e-5);
  await narrow.dispose();
  await widened.dispose();
});

describe('a model that fills in', () => {
  it.each([
    ['labelled', false],
    ['latent', true],
  ] as const)(
    'is trained, and resumed bit for bit: %s',
    async (name, flip) => {
      const given = await settingsOf(at(name));
      const diffusion = { ...given.diffusion, inpaint: true, steps: 6, batch_size: 2 };
      const config = parseTrainConfig({ ...given, augment: { flip }, diffusion }, name);
      const job = { data: at('data'), initFrom: at(name), config, threads: 1 };
      const whole = await train({ ...job, out: at(`${name}-whole`) });
      const stop = new AbortController();
      const onStep = ({ step }: { step: number }) => step === 3 && stop.abort();
      await train({ ...job, out: at(`${name}-halved`), signal: stop.signal, onStep });
      const resumed = await resumeTraining({ run: at(`${name}-halved`), threads: 1 });
      const [a, b] = [whole, resumed].map(({ stages }) => Buffer.from(stages[0].params.buffer));
      expect(b.equals(a)).toBe(true);
      expect(whole.stages[0]).toMatchObject({ step: 6, interrupted: false });
      const { unet } = await readPipelineDir(at(`${name}-whole`, 'model'));
      const out = unet.config.out_channels as number;
      expect(unet.config).toMatchObject({ in_channels: 2 * out + 1 });
      // What it learns from is not blind to the mask.
      expect((await settingsOf(at(`${name}-whole`, 'model'))).diffusion).toMatchObject({ inpaint: true });
    },
    60_000,
  );

  it.each(['labelled', 'latent'])('fills in, and draws whole pictures alike: %s', async (name) => {
    const pipeline = await DiffusionPipeline.fromPretrained(at(`${name}-whole`, 'model'), { threads: 1 });
    try {
      const image = noisyPicture(16, 16, 3);
      const told = { steps: 2, seed: 4, guidanceScale: 1, label: 'bee' };
      const mask = boxMask(16, 16, [4, 4, 12, 10]);
      const [painted] = await inpaint(pipeline, { ...told, image, mask });
      expect(pixelsWhere(painted, mask, false)).toEqual(pixelsWhere(image, mask, false));
      expect(pixelsWhere(painted, mask, true)).not.toEqual(pixelsWhere(image, mask, true));
      const all = boxMask(16, 16, [0, 0, 16, 16]);
      const [filled] = await inpaint(pipeline, { ...told, image, mask: all });
      const [drawn] = await pipeline.generate(told);
      const off = drawn.data.map((v, i) => Math.abs(v - filled.data[i]));
      expect(Math.max(...off)).toBe(0);
      await expect(inpaint(pipeline, { ...told, image, mask, method: 'replace' })).rejects.toThrow(
        /--method/,
      );
    } finally {
      await pipeline.dispose();
    }
  });

  it('goes through the commands', async () => {
    const train = ['--data', at('data'), '--out', at('run'), '--inpaint', at('labelled')];
    const quick = ['--steps', '2', '--batch', '2', '--threads', '1', '--quiet'];
    expect(await sumi('train', ...train, ...quick)).toMatchObject({ value: 0 });
    await writePng(at('in.png'), noisyPicture(16, 16));
    const half = { data: new Uint8Array(16 * 16 * 3).fill(255, 16 * 8 * 3), width: 16, height: 16 };
    await writePng(at('mask.png'), half);
    const model = ['--model', at('run')];
    const files = ['--image', at('in.png'), '--mask', at('mask.png'), '--out', at('out.png')];
    for (const command of [
      ['inpaint', ...model, ...files, '--steps', '2'],
      ['generate', ...model, '--steps', '2', '--out', at('drawn.png')],
      ['inspect', at('run')],
      ['doctor', at('run')],
      ['export', ...model, '--out', at('exported')],
    ])
      expect(await sumi(...command), command[0]).toMatchObject({ value: 0 });
    const whole = await sumi(
      'train',
      ...train.slice(0, 2),
      '--out',
      at('again'),
      '--init',
      at('run'),
      ...quick,
    );
    expect(whole).toMatchObject({ value: 0 });
  }, 60_000);

  it('refuses what cannot be', async () => {
    const start = ['train', '--data', at('data'), '--out', at('none')];
    for (const [words, told] of [
      [[...start, '--inpaint', at('nowhere')], /no model .*nowhere/],
      [[...start, '--inpaint', at('labelled'), '--init', at('labelled')], /init.*inpaint|mutually exclusive/],
      [['train', '--resume', at('run'), '--inpaint', at('labelled')], /keeps its own settings — --inpaint/],
      [['train', '--distill', at('run'), '--out', at('none')], /fills in parts of pictures — --distill/],
      [
        [...start, '--refine', at('labelled'), '--inpaint', at('labelled')],
        /--inpaint — leave out with --refine/,
      ],
    ] as const) {
      const { value, stderr } = await sumi(...words);
      expect([value, stderr]).toEqual([2, expect.stringMatching(told)]);
    }
  });
});
