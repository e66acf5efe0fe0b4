/** A model's decoder trained further: its pictures become truer, its latents stay what they are. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import type { AutoencoderConfig } from '../../src/autoencoder/index.js';
import { readPipelineDir } from '../../src/checkpoint/index.js';
import { viewParams } from '../../src/engine/params.js';
import { writePng } from '../../src/image/index.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { reconstruct } from '../../src/training/autoencoder.js';
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

/** Mean squared error of the data's pictures through a model's autoencoder. */
async function error(dir: string): Promise<number> {
  const { network, params } = await readAutoencoder(dir, 16);
  const data = new Float32Array(4 * 16 * 16 * 3);
  for (let i = 0; i < 4; i++)
    data.set(
      Float32Array.from(noisyPicture(16, 16, i).data, (v) => v / 127.5 - 1),
      i * 768,
    );
  const pictures = { data, shape: [4, 16, 16, 3], dtype: 'float32' as const };
  const made = await reconstruct(network.config as AutoencoderConfig, params, pictures, options);
  return made.reduce((sum, v, i) => sum + (v - data[i]) ** 2, 0) / data.length;
}

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
    expect(await error(at('run'))).toBeLessThan(0.8 * (await error(at('latent'))));

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
