/** The second stage: a refiner's network, its training beside a model, and pictures that it makes larger. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { listStates, loadState, readPipelineDir } from '../../src/checkpoint/index.js';
import { makeStyleDataset, openDataset } from '../../src/data/index.js';
import { countParams, viewParams } from '../../src/engine/params.js';
import { type Tensor4D, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import { decodeRgb } from '../../src/image/index.js';
import { DiffusionPipeline, img2img } from '../../src/pipelines/index.js';
import { openRefiner, refine } from '../../src/refiner/index.js';
import { parseRefineConfig, resumeTraining, trainRefinerOf } from '../../src/training/index.js';
import { Pairs } from '../../src/training/refine-data.js';
import type { RefinerScores } from '../../src/training/refine-stage.js';
import { capture } from '../cli/capture.js';
import { noisyPicture } from '../pipelines/pictures.js';
import { latent, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const model = {
  block_out_channels: [8, 8],
  down_block_types: ['DownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'UpBlock2D'],
  layers_per_block: 1,
  norm_num_groups: 4,
  add_attention: false,
};
const config = (change = {}) =>
  parseRefineConfig({ model, batch_size: 4, steps: 8, strength: 0.2, redraw_steps: 5, ...change }, 'test');

beforeAll(async () => {
  await writeTiny(at('model'), latent);
  await makeStyleDataset('shapes', { out: at('data'), size: 32, count: 6, seed: 1 });
}, 60_000);

describe('a refiner’s network', () => {
  const sized = { ...model, in_channels: 3, out_channels: 12, sample_size: 16 };

  it('enlarges plainly where it has learned nothing', () => {
    const network = openRefiner('UNet2DModel', sized, 4, 'test');
    expect(network.scale).toBe(2);
    const zero = new Float32Array(countParams(network.specs));
    tf.tidy(() => {
      const params = Object.fromEntries(
        Object.entries(viewParams(network.specs, zero)).map(([name, data], i) => [
          name,
          tf.tensor(data, network.specs[i].shape as number[]),
        ]),
      );
      const ramp = tf.tile(tf.reshape(tf.range(0, 16), [1, 1, 16, 1]), [1, 16, 1, 3]) as Tensor4D;
      const out = refine(network, params, ramp);
      expect(out.shape).toEqual([1, 32, 32, 3]);
      // Pixels stand for their middles: at 2x + 1/2 of the larger one lies x + 1/4 of the smaller.
      const row = Array.from(tf.slice(out, [0, 5, 0, 0], [1, 1, 32, 1]).dataSync());
      for (let x = 1; x < 31; x++) expect(row[x]).toBeCloseTo((x + 0.5) / 2 - 0.5, 5);
    });
  });

  it.each<[string, object, RegExp]>([
    ['other channels', { in_channels: 4 }, /4 channels become 12/],
    ['channels that are no square of pixels', { out_channels: 9 }, /3 channels become 9/],
    ['classes', { num_class_embeds: 3 }, /classes/],
    ['Fourier features', { time_embedding_type: 'fourier' }, /timestep 0/],
  ])('is refused with %s', (_, change, why) => {
    expect(() => openRefiner('UNet2DModel', { ...sized, ...change }, 4, 'x')).toThrow(InputError);
    expect(() => openRefiner('UNet2DModel', { ...sized, ...change }, 4, 'x')).toThrow(why);
  });

  it('is refused as another class, or with more halvings than pictures have', () => {
    expect(() => openRefiner('UNet2DConditionModel', sized, 4, 'x')).toThrow(/does not refine/);
    expect(() => openRefiner('UNet2DModel', sized, 1, 'x')).toThrow(/do not halve/);
  });
});

describe('pairs', () => {
  it('hold some pictures back, and never train on them', async () => {
    const large = await openDataset(at('data'), { size: 16 });
    const pairs = new Pairs(large, new Uint8Array(large.count * 8 * 8 * 3), 8, config({ held_back: 0.25 }));
    const held = pairs.heldBack().map(({ original }) => Buffer.from(original.data).toString('base64'));
    expect(held).toHaveLength(large.count / 4);
    const seen = new Set<string>();
    for (let step = 1; step < 40; step++) {
      const { target, pictures } = pairs.batch(step);
      expect([target.shape, pictures.shape]).toEqual([
        [4, 16, 16, 3],
        [4, 8, 8, 3],
      ]);
      for (let k = 0; k < 4; k++) {
        const one = (target.data as Float32Array).subarray(k * 768, (k + 1) * 768);
        seen.add(Buffer.from(Uint8Array.from(one, (x) => Math.round((x + 1) * 127.5))).toString('base64'));
      }
    }
    // Mirrored ones count twice.
    expect(seen.size).toBeGreaterThan(pairs.trained);
    for (const picture of held) expect(seen.has(picture)).toBe(false);
  });
});

describe('training a refiner', () => {
  const common = { threads: 1 };

  it('publishes the model with it, and goes on bit for bit', async () => {
    await trainRefinerOf({
      ...common,
      model: at('model'),
      data: at('data'),
      out: at('whole'),
      config: config(),
    });
    const stop = new AbortController();
    await trainRefinerOf({
      ...common,
      model: at('model'),
      data: at('data'),
      out: at('parts'),
      config: config(),
      signal: stop.signal,
      onStep: ({ step }) => step === 3 && stop.abort(),
    });
    const result = await resumeTraining({ run: at('parts'), threads: 1 });
    expect(result.stages).toMatchObject([{ name: 'refiner', step: 8 }]);
    const states = await Promise.all(
      ['whole', 'parts'].map(async (run) => loadState((await listStates(at(run)))[0].dir)),
    );
    for (const name of ['params', 'm', 'v', 'ema'])
      expect(states[1].arrays[name], name).toEqual(states[0].arrays[name]);

    const [published, base] = [await readPipelineDir(at('whole')), await readPipelineDir(at('model'))];
    expect(published.refiner?.config).toMatchObject({ out_channels: 12, block_out_channels: [8, 8] });
    for (const part of ['unet', 'autoencoder'] as const) {
      const [a, b] = [published[part]?.weights as string, base[part]?.weights as string];
      expect((await readFile(a)).equals(await readFile(b))).toBe(true);
    }
    expect(published.sumi.refiner).toMatchObject({ step: 8, held_back: { pictures: expect.any(Number) } });
    expect((await stat(join(at('whole'), 'samples/step-8.png'))).size).toBeGreaterThan(500);
  }, 60_000);

  it('makes pictures twice as large, unless told not to', async () => {
    const pipeline = await DiffusionPipeline.fromPretrained(at('whole'), { threads: 1 });
    const [large] = await pipeline.generate({ steps: 2, seed: 4 });
    const [small] = await pipeline.generate({ steps: 2, seed: 4, refine: false });
    const image = noisyPicture(16, 16);
    const [again] = await img2img(pipeline, { image, strength: 0.5, steps: 4 });
    await pipeline.dispose();
    expect([large.width, large.height, small.width, again.width]).toEqual([32, 32, 16, 32]);
    const plain = await DiffusionPipeline.fromPretrained(at('model'), { threads: 1 });
    expect((await plain.generate({ steps: 2, seed: 4 }))[0].data).toEqual(small.data);
    await plain.dispose();
    const eager = await DiffusionPipeline.fromPretrained(at('whole'), { engine: 'wasm' });
    const [same] = await eager.generate({ steps: 2, seed: 4 });
    await eager.dispose();
    const worst = same.data.reduce((most, x, i) => Math.max(most, Math.abs(x - large.data[i])), 0);
    expect(worst).toBeLessThanOrEqual(1);
  }, 60_000);

  it('learns to do better than enlargement', async () => {
    // A model whose redrawings at strength 0 are the pictures themselves.
    await writeTiny(at('pixels'), {});
    await trainRefinerOf({
      ...common,
      model: at('pixels'),
      data: at('data'),
      out: at('better'),
      config: config({ strength: 0, steps: 400, batch_size: 8, learning_rate: 4e-3, ema_decay: 0.97 }),
    });
    const { sumi: told } = await readPipelineDir(at('better'));
    const { refined, enlarged } = (told.refiner as unknown as { held_back: RefinerScores }).held_back;
    expect(refined.psnr).toBeGreaterThan(enlarged.psnr + 0.5);
    expect(refined.perceptual).toBeLessThan(enlarged.perceptual);
  }, 60_000);

  it('serves the commands', async () => {
    const out = at('run');
    await writeFile(at('refine.json'), JSON.stringify({ model, redraw_steps: 5 }));
    const trained = await sumi(
      ...[
        'train',
        '--refine',
        at('model'),
        '--data',
        at('data'),
        '--out',
        out,
        '--config',
        at('refine.json'),
      ],
      ...['--steps', '2', '--batch', '2', '--threads', '1', '--quiet'],
    );
    expect(trained).toMatchObject({ value: 0 });
    const drawn = await sumi(
      'generate',
      '--model',
      out,
      '--steps',
      '2',
      '--out',
      at('drawn.png'),
      '--animate',
      at('a.webp'),
      '--json',
    );
    expect(JSON.parse(drawn.stdout).refined).toBe(2);
    expect(await decodeRgb(at('drawn.png'))).toMatchObject({ width: 32, height: 32 });
    const plain = await sumi(
      'generate',
      '--model',
      out,
      '--steps',
      '2',
      '--out',
      at('plain.png'),
      '--no-refine',
    );
    expect(plain).toMatchObject({ value: 0 });
    expect(await decodeRgb(at('plain.png'))).toMatchObject({ width: 16, height: 16 });
    const seen = await sumi('inspect', out);
    expect(seen.stdout).toMatch(/refiner\s+UNet2DModel/);
    const exported = await sumi('export', '--model', out, '--to', 'diffusers', '--out', at('exported'));
    expect(exported).toMatchObject({ value: 0 });
    expect((await readPipelineDir(at('exported'))).refiner).not.toBeNull();
  }, 60_000);

  it('refuses what it cannot do, before anything is written', async () => {
    await mkdir(at('empty'));
    const start = (...argv: string[]) => sumi('train', '--out', at('none'), '--quiet', ...argv);
    for (const [argv, why] of [
      [['--refine', at('model')], /a folder of pictures/],
      [['--refine', at('nowhere'), '--data', at('data')], /no model .* --refine/],
      [['--refine', at('model'), '--data', at('empty')], /empty/],
      [['--refine', at('model'), '--data', at('data'), '--scale', '9'], /scale/],
      [
        ['--refine', at('model'), '--data', at('data'), '--init', 'characters'],
        /--init — leave out with --refine/,
      ],
      [['--scale', '2', '--data', at('data')], /name the model by --refine/],
    ] as const) {
      const { value, stderr } = await start(...argv);
      expect([value, stderr]).toEqual([2, expect.stringMatching(why)]);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
    await expect(stat(at('none'))).rejects.toThrow();
  });
});
