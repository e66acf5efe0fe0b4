/** Every kind of network as an ONNX file: standard operators, any batch, the numbers of Sumi's own run. */
import { describe, expect, it } from 'vitest';
import { openAutoencoder } from '../../src/autoencoder/index.js';
import type { JsonObject } from '../../src/checkpoint/json.js';
import { initParams } from '../../src/engine/params.js';
import { compareFile, openFile, requireClose } from '../../src/export/check.js';
import { type GraphFile, graphFiles } from '../../src/export/graphs.js';
import { encodeFile, modelOf } from '../../src/export/model-file.js';
import type { LoadedModel } from '../../src/pipelines/model.js';
import { Random } from '../../src/random.js';
import { parseUNet2DConfig, unet2dNetwork } from '../../src/unet/index.js';
import { readJson } from '../fixtures/models/load.js';

const base = {
  dir: 'test',
  autoencoder: null,
  text: null,
  refiner: null,
  paints: false,
  scheduler: { _class_name: 'DDIMScheduler' } as JsonObject,
  labels: [],
  nullLabel: null,
  defaults: { steps: 1, guidanceScale: 1 },
};

function unetOf(config: unknown, seed = 1): LoadedModel {
  const unet = parseUNet2DConfig(config);
  const network = unet2dNetwork(unet);
  return { ...base, unet, network, unetParams: initParams(network.specs, new Random(seed)) };
}

function autoencoderOf(name: string): LoadedModel {
  const config = readJson(`${name}/config.json`);
  const network = openAutoencoder(String(config._class_name), config, name);
  const params = initParams(network.specs, new Random(2));
  return { ...unetOf(readJson('unet-ddpm/config.json')), autoencoder: { network, params } };
}

async function tryOut(file: GraphFile, as: GraphFile = file): Promise<void> {
  const model = modelOf(file);
  expect(new Set(model.nodes.map((n) => n.domain))).toEqual(new Set(['']));
  expect(model.inputs[0].shape[0]).toBe('batch');
  expect(model.outputs[0]).toMatchObject({
    name: file.output,
    shape: ['batch', ...model.outputs[0].shape.slice(1)],
  });
  const opened = await openFile(encodeFile(model, file.name), 1);
  try {
    const differences = await compareFile(opened.run, as, { threads: 1 });
    expect(differences.map((d) => d.batch)).toEqual([1, 3]);
    requireClose(differences, file.name);
  } finally {
    await opened.dispose();
  }
}

const small = {
  sample_size: 8,
  block_out_channels: [8, 16],
  down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
  up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
  layers_per_block: 1,
  norm_num_groups: 4,
  attention_head_dim: 8,
};

describe('a UNet2DModel as a file', () => {
  it.each([
    'unet-attn-skip',
    'unet-ddpm',
    'unet-mixed',
    'unet-ncsnpp',
    'unet-no-middle',
    'unet-resnet-resize',
    'unet-scale-shift',
  ])('of the kind of %s', async (name) => {
    // Drawing knows no other classes than a table's.
    const config = { ...readJson(`${name}/config.json`), class_embed_type: null };
    await tryOut(graphFiles(unetOf(config), [16, 16])[0]);
  });

  it.each([
    ['classes', { num_class_embeds: 5 }],
    ['learned times', { time_embedding_type: 'learned', num_train_timesteps: 20 }],
    ['centred inputs', { center_input_sample: true }],
    ['several heads', { attention_head_dim: 4 }],
    ['other activations', { act_fn: 'gelu' }],
  ])('with %s', async (_, config) => {
    await tryOut(graphFiles(unetOf({ ...small, ...config }), [8, 16])[0]);
  });

  it('has the names of other exporters', () => {
    const model = modelOf(graphFiles(unetOf({ ...small, num_class_embeds: 5 }), [8, 16])[0]);
    expect(model.inputs).toEqual([
      { name: 'sample', shape: ['batch', 3, 8, 16], type: 'float32' },
      { name: 'timestep', shape: ['steps'], type: 'float32' },
      { name: 'class_labels', shape: ['batch'], type: 'int64' },
    ]);
    expect(model.outputs).toEqual([{ name: 'out_sample', shape: ['batch', 3, 8, 16], type: 'float32' }]);
  });

  it('takes one timestep for all pictures, or one for each', async () => {
    const [file] = graphFiles(unetOf(small), [8, 8]);
    const opened = await openFile(encodeFile(modelOf(file), 'unet'), 1);
    const sample = new Random(3).normal(2 * 3 * 64);
    const run = async (steps: number[]) => {
      const given = await opened.run({
        sample: { shape: [2, 3, 8, 8], dtype: 'float32', data: sample },
        timestep: { shape: [steps.length], dtype: 'float32', data: Float32Array.from(steps) },
      });
      return given.out_sample.data;
    };
    expect(await run([7])).toEqual(await run([7, 7]));
    expect(await run([7])).not.toEqual(await run([7, 8]));
    await opened.dispose();
  });

  it('is found out when it computes something else', async () => {
    const [file] = graphFiles(unetOf(small, 1), [8, 8]);
    const [other] = graphFiles(unetOf(small, 2), [8, 8]);
    await expect(tryOut(file, other)).rejects.toThrow(/computes something else: off by .* in a batch of 1/);
  });
});

describe('an autoencoder as two files', () => {
  it.each([
    'autoencoder-attn',
    'autoencoder-bare',
    'autoencoder-kl',
    'tiny-mish',
    'tiny-relu',
    'vq-group',
    'vq-spatial',
  ])('of the kind of %s', async (name) => {
    const [, encoder, decoder] = graphFiles(autoencoderOf(name), [8, 8]);
    expect([encoder.name, encoder.output, decoder.name, decoder.output]).toEqual([
      'vae_encoder',
      'latent_sample',
      'vae_decoder',
      'sample',
    ]);
    await tryOut(encoder);
    await tryOut(decoder);
  });
});
