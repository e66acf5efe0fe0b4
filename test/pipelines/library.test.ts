/** The package as its users import it. */
import { readFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import * as sumi from '../../src/index.js';
import { labelled, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
beforeAll(() => writeTiny(at('model'), labelled), 60_000);

it('has what the README and the documents name', () => {
  for (const name of [
    'DiffusionPipeline',
    'DDIMScheduler',
    'DDPMScheduler',
    'UNet2D',
    'train',
    'inpaint',
    'Random',
  ])
    expect(sumi).toHaveProperty(name, expect.any(Function));
});

it('opens a model, draws, and writes a picture with its recipe', async () => {
  const pipeline = await sumi.DiffusionPipeline.fromPretrained(at('model'), { threads: 1 });
  const [picture] = await pipeline.generate({ seed: 7, label: 'bee' });
  await pipeline.dispose();
  await sumi.writePng(at('seven.png'), picture, { seed: picture.seed });
  expect(await sumi.readRecipe(at('seven.png'))).toEqual({ seed: 7 });
  expect((await readFile(at('seven.png'))).length).toBeGreaterThan(100);
});

it('runs the network as a function of its configuration and parameters', async () => {
  await sumi.tf.setBackend('cpu');
  const config = sumi.parseUNet2DConfig({
    block_out_channels: [4],
    down_block_types: ['DownBlock2D'],
    up_block_types: ['UpBlock2D'],
    layers_per_block: 1,
    norm_num_groups: 2,
    attention_head_dim: 4,
  });
  const specs = sumi.unet2dSpecs(config);
  const flat = sumi.initParams(specs, new sumi.Random(0));
  const output = sumi.tf.tidy(() => {
    const params = sumi.unflatten(specs, sumi.tf.tensor1d(flat));
    return sumi.UNet2D(config, params, sumi.tf.zeros([1, 4, 4, 3]), sumi.tf.tensor1d([10]));
  });
  expect(output.shape).toEqual([1, 4, 4, 3]);
  expect(output.dataSync().every(Number.isFinite)).toBe(true);
  output.dispose();
});
