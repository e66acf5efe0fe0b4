/** A model's decoder trained further: its pictures become truer, its latents stay what they are. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { readPipelineDir } from '../../src/checkpoint/index.js';
import { viewParams } from '../../src/engine/params.js';
import { writePng } from '../../src/image/index.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { latentError } from '../../src/training/autoencoder.js';
import { readAutoencoder } from '../../src/training/autoencoder-stage.js';
import { parseTrainConfig, resumeTraining, settingsOf, train } from '../../src/training/index.js';
import { capture } from '../cli/capture.js';
import { maxError } from '../engine/helpers.js';
import { noisyPicture } from '../pipelines/pictures.js';
import { labelled, latent, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const options = { threads: 1 };

beforeAll(async () => {
  await mkdir(at('data'));
  for (let i = 0; i < 4; i++) await writePng(at('data', `${i}.png`), noisyPicture(16, 16, i));
  await writeTiny(at('latent'), latent);
  await writeTiny(at('pixels'), labelled);
});

/** The settings with which a model's decoder is trained, some of them changed. */
const settings = async (change: object) => {
  const base = await settingsOf(at('latent'), 'decoder');
  return parseTrainConfig({ ...base, autoencoder: { ...base.autoencoder, ...change } }, 'test');
};

const pixels = (i: number) => Float32Array.from(noisyPicture(16, 16, i).data, (v) => v / 127.5 - 1);

/** Mean squared error of the data's pictures through a model's autoencoder. */
async function errorOf(dir: string): Promise<number> {
  const pipeline = await DiffusionPipeline.fromPretrained(dir, options);
  const { codec } = pipeline;
  const side = 16 / codec.reduction;
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    const picture = pixels(i);
    const made = await codec.decode(await codec.encode(picture, [16, 16]), [side, side]);
    sum += made.reduce((total, v, k) => total + (v - picture[k]) ** 2, 0);
  }
  await pipeline.dispose();
  return sum / (4 * 768);
}

const firstLoss = async (run: string): Promise<number> =>
  JSON.parse((await readFile(join(run, 'metrics.jsonl'), 'utf8')).split('\n')[0]).loss;

describe('what is wrong with latents', () => {
  it('is normal noise, of a deviation that each picture has drawn', () => {
    const error = latentError(new Random(3), [200, 8, 8, 4], 0.5);
    const deviations = Array.from({ length: 200 }, (_, i) => {
      const own = error.subarray(i * 256, (i + 1) * 256);
      return Math.sqrt(own.reduce((sum, x) => sum + x * x, 0) / 256);
    });
    expect(Math.max(...deviations)).toBeLessThan(0.6);
    expect(Math.max(...deviations)).toBeGreaterThan(0.4);
    expect(Math.min(...deviations)).toBeLessThan(0.05);
    // Uniform up to 0.5: half of that in the mean.
    expect(deviations.reduce((a, b) => a + b) / 200).toBeCloseTo(0.25, 1);
    expect(latentError(new Random(3), [200, 8, 8, 4], 0.5)).toEqual(error);
    expect(latentError(new Random(3), [2, 8, 8, 4], 0).every((x) => x === 0)).toBe(true);
  });
});

describe('sumi train --stage decoder', () => {
  it('makes a model of the same UNet and latents, whose deeper decoder comes nearer the pictures', async () => {
    const { _class_name, scaling_factor, ...model } =
      (await readPipelineDir(at('latent'))).autoencoder?.config ?? {};
    const autoencoder = { model: { ...model, layers_per_block: 2 }, ema_decay: 0.5 };
    await writeFile(at('deeper.json'), JSON.stringify({ autoencoder }));
    const { value, stderr } = await sumi(
      ...[
        'train',
        '--data',
        at('data'),
        '--init',
        at('latent'),
        '--stage',
        'decoder',
        '--config',
        at('deeper.json'),
      ],
      ...['--steps', '40', '--batch', '4', '--lr', '0.003', '--threads', '1', '--out', at('run')],
    );
    expect(value).toBe(0);
    expect(stderr).toMatch(/the model is ready: sumi generate/);
    expect(await errorOf(at('run'))).toBeLessThan(0.8 * (await errorOf(at('latent'))));

    const [before, after] = [await readAutoencoder(at('latent'), 16), await readAutoencoder(at('run'), 16)];
    expect(after.folder).toBe(before.folder);
    expect(after.network.config).toMatchObject({ layers_per_block: 2, scaling_factor: 0.5 });
    const [old, now] = [before, after].map(({ network, params }) => viewParams(network.specs, params));
    for (const [name, values] of Object.entries(old)) {
      const moved = maxError(now[name], values);
      if (/^(encoder|quant_conv)/.test(name)) expect(moved, name).toBe(0);
      else expect(moved, name).toBeGreaterThan(0);
    }
    const [from, made] = [await readPipelineDir(at('latent')), await readPipelineDir(at('run'))];
    expect(await readFile(made.unet.weights)).toEqual(await readFile(from.unet.weights));
    expect(made.scheduler).toEqual(from.scheduler);
    expect(made.sumi).toMatchObject({ ...from.sumi, decoder: { step: 40 } });
    const pipeline = await DiffusionPipeline.fromPretrained(at('run'), options);
    expect((await pipeline.generate({ count: 1, seed: 1 }))[0]).toMatchObject({ width: 16, height: 16 });
    await pipeline.dispose();
  });

  it('shows the decoder latents with as much noise as is told', async () => {
    const losses: number[] = [];
    for (const latent_noise of [0, 0.1, 100]) {
      const out = at(`noise-${latent_noise}`);
      const config = await settings({ steps: 1, batch_size: 4, latent_noise });
      await train({ ...options, data: at('data'), stage: 'decoder', initFrom: at('latent'), config, out });
      losses.push(await firstLoss(out));
    }
    const [little, much] = losses.slice(1).map((loss) => Math.abs(loss - losses[0]));
    expect(little).toBeGreaterThan(0);
    expect(much).toBeGreaterThan(3 * little);
  });

  it('shows it some noise unless told otherwise, which an autoencoder is not', async () => {
    expect((await settingsOf(at('latent'), 'decoder')).autoencoder).toMatchObject({ latent_noise: 0.15 });
    expect((await settingsOf(at('latent'), 'autoencoder')).autoencoder).not.toHaveProperty('latent_noise');
    expect(parseTrainConfig(await settingsOf(at('latent'), 'autoencoder'), 'test').autoencoder).toMatchObject(
      {
        latent_noise: 0,
      },
    );
  });

  it('goes on to the bit after a stop', async () => {
    const config = await settings({ steps: 4, batch_size: 2 });
    const job = { ...options, data: at('data'), config, stage: 'decoder' as const, initFrom: at('latent') };
    await train({ ...job, out: at('whole') });
    const stop = new AbortController();
    const onStep = () => stop.abort();
    const { interrupted } = await train({ ...job, out: at('halves'), signal: stop.signal, onStep });
    expect(interrupted).toBe(true);
    await resumeTraining({ ...options, run: at('halves') });
    const [whole, halves] = [await readAutoencoder(at('whole'), 16), await readAutoencoder(at('halves'), 16)];
    expect(maxError(halves.params, whole.params)).toBe(0);
  });

  it.each([
    [['--preset', 'small'], /name the model by --init/],
    [['--init', 'pixels'], /has no autoencoder/],
    [['--init', 'latent', '--autoencoder', 'latent'], /--init trains that of a model further/],
    [['--init', 'latent', '--eval-every', '500'], /draws nothing that could be measured/],
  ])('is refused: %j', async (argv, message) => {
    const paths = argv.map((word) => (['pixels', 'latent'].includes(word) ? at(word) : word));
    const { value, stderr } = await sumi(
      ...['train', '--data', at('data'), '--stage', 'decoder', '--out', at('none')],
      ...paths,
    );
    expect(value).toBe(2);
    expect(stderr).toMatch(message);
  });
});
