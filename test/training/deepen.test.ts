/** Networks made deeper: they begin as what they come from, and then learn; and autoencoders trained further. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { configOf } from '../../scripts/cli/train-settings.js';
import { klNetwork, parseAutoencoderConfig } from '../../src/autoencoder/index.js';
import { readPipelineDir } from '../../src/checkpoint/index.js';
import { initParams } from '../../src/engine/params.js';
import { writePng } from '../../src/image/index.js';
import { Denoiser } from '../../src/pipelines/index.js';
import { loadModel } from '../../src/pipelines/model.js';
import { Random } from '../../src/random.js';
import { reconstruct } from '../../src/training/autoencoder.js';
import { readAutoencoder, startOf } from '../../src/training/autoencoder-stage.js';
import { parseTrainConfig, settingsOf, train } from '../../src/training/index.js';
import { weightsFrom } from '../../src/training/init.js';
import { openUNet } from '../../src/unet/index.js';
import { capture } from '../cli/capture.js';
import { maxError } from '../engine/helpers.js';
import { noisyPicture } from '../pipelines/pictures.js';
import { labelled, latent, skips, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const three = {
  block_out_channels: [8, 16, 16],
  down_block_types: ['DownBlock2D', 'AttnDownBlock2D', 'AttnDownBlock2D'],
  up_block_types: ['AttnUpBlock2D', 'AttnUpBlock2D', 'UpBlock2D'],
} as const;

beforeAll(async () => {
  await mkdir(at('data'));
  for (let i = 0; i < 4; i++) await writePng(at('data', `${i}.png`), noisyPicture(16, 16, i));
  await writeTiny(at('one'), {
    ...labelled,
    unet: { ...labelled.unet, ...three, layers_per_block: 1 } as never,
  });
  await writeTiny(at('two'), {
    ...labelled,
    unet: { ...labelled.unet, ...three, layers_per_block: 2 } as never,
  });
  await writeTiny(at('skips'), skips);
  await writeTiny(at('pixels'), labelled);
  await writeTiny(at('latent'), latent);
});

describe('a deeper U-Net', () => {
  it.each([
    ['one', 2],
    ['one', 4],
    ['two', 3],
    ['two', 5],
  ])('of the model of %s, with %i layers, predicts what that does', async (name, layers) => {
    const model = await loadModel(at(name));
    const deep = openUNet('UNet2DModel', { ...model.unet, layers_per_block: layers }, 'test');
    const fresh = initParams(deep.specs, new Random(5));
    const params = await weightsFrom(await readPipelineDir(at(name)), deep, fresh);
    expect(params.length).toBeGreaterThan(model.unetParams.length * 1.2);
    const sample = new Random(1).normal(16 * 16 * 3);
    const condition = { label: 1, nullLabel: 3, guidanceScale: 1 };
    const predict = async (network: typeof deep, flat: Float32Array) => {
      const denoiser = new Denoiser(network, flat, { threads: 1 });
      try {
        return await denoiser.predict(sample, [16, 16], 300, condition);
      } finally {
        await denoiser.dispose();
      }
    };
    const wanted = await predict(model.network, model.unetParams);
    expect(Math.max(...wanted.map(Math.abs))).toBeGreaterThan(0.1);
    expect(maxError(await predict(deep, params), wanted)).toBeLessThan(1e-4);
    // Its new layers can learn: what they begin with is not all zero.
    expect(
      maxError(
        await predict(
          deep,
          params.map((w) => w + 0.01),
        ),
        wanted,
      ),
    ).toBeGreaterThan(1e-3);
  });

  it.each([
    ['one', { block_out_channels: [8, 16, 32] }, /is \[16\], not \[32\]/],
    ['two', { layers_per_block: 1 }, /not the one to be trained/],
    ['skips', { layers_per_block: 2 }, /not the one to be trained/],
  ])('of another network is refused: %s, %o', async (name, change, message) => {
    const { unet } = await loadModel(at(name));
    const deep = openUNet('UNet2DModel', { ...unet, ...change }, 'test');
    const fresh = initParams(deep.specs, new Random(5));
    await expect(weightsFrom(await readPipelineDir(at(name)), deep, fresh)).rejects.toThrow(message);
  });
});

it('settings that name the deeper network lie over the others of the model', async () => {
  const { _class_name, ...unet } = (await readPipelineDir(at('one'))).unet.config;
  const diffusion = { model: { ...unet, layers_per_block: 2 }, learning_rate: 0.5 };
  await writeFile(at('deeper.json'), JSON.stringify({ diffusion }));
  const config = await configOf({ init: at('one'), config: at('deeper.json') });
  expect(config).toMatchObject({
    size: 16,
    sampling: { steps: 3, guidance_scale: 2 },
    diffusion: { learning_rate: 0.5, prediction_type: 'epsilon', model: { layers_per_block: 2 } },
  });
});

describe('an autoencoder', () => {
  it.each([2, 3])('with %i layers reconstructs what that of one does', async (layers) => {
    const { network, params } = await readAutoencoder(at('latent'), 16);
    const shallow = parseAutoencoderConfig(network.config);
    const deep = parseAutoencoderConfig({ ...shallow, layers_per_block: layers });
    const fresh = initParams(klNetwork(deep).specs, new Random(5));
    const start = await startOf(at('latent'), klNetwork(deep), fresh, 16);
    const pictures = {
      data: new Random(2).normal(2 * 16 * 16 * 3),
      shape: [2, 16, 16, 3],
      dtype: 'float32' as const,
    };
    const wanted = await reconstruct(shallow, params, pictures, { threads: 1 });
    expect(Math.max(...wanted.map(Math.abs))).toBeGreaterThan(0.1);
    expect(maxError(await reconstruct(deep, start, pictures, { threads: 1 }), wanted)).toBeLessThan(1e-4);
  });

  it('of a model is trained further, from its weights, and used by the next stage', async () => {
    const argv = [
      '--data',
      at('data'),
      '--init',
      at('latent'),
      '--steps',
      '1',
      '--batch',
      '2',
      '--threads',
      '1',
    ];
    const { value } = await sumi(
      'train',
      ...argv,
      '--stage',
      'autoencoder',
      '--lr',
      '1e-7',
      '--out',
      at('coder'),
      '--quiet',
    );
    expect(value).toBe(0);
    const [old, tuned] = [
      await readAutoencoder(at('latent'), 16),
      await readAutoencoder(at('coder', 'autoencoder'), 16),
    ];
    // A step of so small a rate moves each number by no more than that.
    expect(maxError(tuned.params, old.params)).toBeLessThan(2e-7);
    expect(maxError(tuned.params, old.params)).toBeGreaterThan(0);
    const next = await sumi(
      'train',
      ...argv,
      '--autoencoder',
      at('coder', 'autoencoder'),
      '--out',
      at('next'),
      '--quiet',
    );
    expect(next.value).toBe(0);
    const { autoencoder } = await readPipelineDir(at('next', 'model'));
    const used = await readAutoencoder(join(at('next'), 'model'), 16);
    expect(autoencoder?.config.scaling_factor).not.toBe(0.5);
    expect(maxError(used.params, tuned.params)).toBe(0);
  });

  it('is refused where there is none, or none to be trained', async () => {
    const config = parseTrainConfig(await settingsOf(at('pixels'), 'autoencoder'), 'test');
    const job = { data: at('data'), out: at('none'), stage: 'autoencoder' as const };
    await expect(train({ ...job, config, initFrom: at('pixels') })).rejects.toThrow(/has no autoencoder/);
    const latents = parseTrainConfig(await settingsOf(at('latent'), 'autoencoder'), 'test');
    await expect(train({ ...job, config: latents, autoencoderFrom: at('latent') })).rejects.toThrow(
      /--init trains/,
    );
    const vq = join(import.meta.dirname, '../fixtures/pipelines/vq');
    await expect(settingsOf(vq, 'autoencoder')).rejects.toThrow(
      /class VQModel .* use a model with an AutoencoderKL/,
    );
  });
});
