import { beforeAll, describe, expect, it } from 'vitest';
import {
  decodeVQ,
  encodeVQ,
  nearestEntries,
  parseVQConfig,
  quantize,
  vqChannels,
  vqLoss,
  vqNetwork,
  vqSpecs,
} from '../../src/autoencoder/index.js';
import { countParams } from '../../src/engine/params.js';
import { type Tensor4D, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import {
  expectSpecs,
  gradientError,
  loadRecorded,
  lossAndGradients,
  maxDifference,
  paramsOf,
  readJson,
  shapesOf,
} from '../fixtures/models/load.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(['vq-group', 'vq-spatial'])('VQModel agrees with diffusers: %s', (name) => {
  async function load() {
    const config = parseVQConfig(readJson(`${name}/config.json`));
    const params = await paramsOf(name, vqSpecs(config));
    return { config, params, io: await loadRecorded(`${name}/io.safetensors`) };
  }

  it('has the same parameters', async () => {
    const { config, params, io } = await load();
    expectSpecs(vqSpecs(config), shapesOf(params));
    const names = vqSpecs(config).map((spec) => spec.name);
    expect(names.sort()).toEqual(io.under('probe').sort());
  });

  it('encodes, quantizes and decodes the same', async () => {
    const { config, params, io } = await load();
    const latents = io.activation('latents');
    const codebook = params['quantize.embedding.weight'] as tf.Tensor2D;
    const rows = tf.reshape(latents, [-1, vqChannels(config)]) as tf.Tensor2D;
    const indices = io.plain('indices');
    expect([...nearestEntries(codebook, rows).dataSync()]).toEqual([...indices.dataSync()]);
    expect(new Set(indices.dataSync()).size).toBeGreaterThan(3);
    const plain = config.lookup_from_codebook ? indices : latents;
    const errors = {
      latents: maxDifference(encodeVQ(config, params, io.activation('pictures')), latents),
      quantized: maxDifference(quantize(params, latents), io.activation('quantized')),
      output: maxDifference(decodeVQ(config, params, latents), io.activation('output')),
      unquantized: maxDifference(
        decodeVQ(config, params, plain, { forceNotQuantize: true }),
        io.activation('unquantized'),
      ),
      commit: Math.abs(vqLoss(params, latents).dataSync()[0] - io.plain('commit').dataSync()[0]),
    };
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, errors);
    for (const error of Object.values(errors)) expect(error).toBeLessThan(1e-5);
  });

  it('gives the same gradients', async () => {
    const { config, params, io } = await load();
    const [pictures, target] = ['pictures', 'target'].map(io.activation);
    const { loss, gradients } = lossAndGradients(params, (p) => {
      const latents = encodeVQ(config, p, pictures);
      const mse = tf.mean(tf.square(tf.sub(decodeVQ(config, p, latents), target)));
      return tf.add(mse, vqLoss(p, latents));
    });
    expect(loss).toBeCloseTo(io.plain('loss').dataSync()[0], 4);
    const error = gradientError(gradients, io);
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'gradients', error);
    expect(error).toBeLessThan(1e-3);
  });

  it('scales latents as LDMPipeline does', async () => {
    const { config, params, io } = await load();
    const network = vqNetwork(config);
    const latents = io.activation('latents');
    const scaled = tf.mul(latents, 0.18215) as Tensor4D;
    expect(maxDifference(network.encode(params, io.activation('pictures')), scaled)).toBeLessThan(1e-5);
    expect(maxDifference(network.decode(params, scaled), io.activation('output'))).toBeLessThan(1e-5);
  });
});

// Numbers of parameters by diffusers 0.42.
it.each([
  ['latent diffusion’s', { block_out_channels: [128, 256, 512], num_vq_embeddings: 8192 }, 55322782],
  [
    'Kandinsky’s MoVQ',
    {
      block_out_channels: [128, 256, 256, 512],
      attends: true,
      latent_channels: 4,
      vq_embed_dim: 4,
      num_vq_embeddings: 16384,
      norm_type: 'spatial',
    },
    67832495,
  ],
])('takes %s', (_, { attends, ...given }: { block_out_channels: number[]; attends?: boolean }, expected) => {
  const levels = given.block_out_channels.length;
  const types = (name: string) =>
    given.block_out_channels.map((_, i) => `${attends && i === levels - 1 ? 'Attn' : ''}${name}`);
  const config = parseVQConfig({
    ...given,
    layers_per_block: 2,
    down_block_types: types('DownEncoderBlock2D'),
    up_block_types: types('UpDecoderBlock2D').reverse(),
  });
  expect(countParams(vqSpecs(config))).toBe(expected);
});

describe('bad input', () => {
  const spatial = { norm_type: 'spatial', block_out_channels: [32] };
  it.each([
    [{ down_block_types: ['DownBlock2D'] }, 'down_block_types.0: "DownBlock2D"'],
    [{ block_out_channels: [64, 64] }, 'down_block_types has 1 entries'],
    [{ norm_num_groups: 48 }, 'does not divide 64'],
    [{ norm_type: 'layer' }, 'norm_type: "layer"'],
    [{ ...spatial, block_out_channels: [48], norm_num_groups: 16 }, '"spatial" with 48 channels'],
    [{ ...spatial, vq_embed_dim: 5 }, 'vq_embed_dim 5 and latent_channels 3'],
    [{ num_vq_embeddings: 0 }, 'num_vq_embeddings: 0'],
    [{ n_e: 5 }, 'unknown key "n_e"'],
    [{ _class_name: 'AutoencoderKL' }, 'a config of AutoencoderKL, not VQModel'],
  ])('config %j', (value, message) => {
    expect(() => parseVQConfig(value)).toThrow(InputError);
    expect(() => parseVQConfig(value)).toThrow(message);
  });

  it('shapes', () => {
    const config = parseVQConfig({ vq_embed_dim: 2 });
    const lookup = parseVQConfig({ lookup_from_codebook: true });
    expect(() => encodeVQ(config, {}, tf.zeros([1, 4, 4, 1]))).toThrow(/\[N, H, W, 3\]/);
    expect(() => decodeVQ(config, {}, tf.zeros([1, 4, 4, 3]))).toThrow(/\[N, H, W, 2\]/);
    expect(() => decodeVQ(lookup, {}, tf.zeros([1, 4, 4, 3]), { forceNotQuantize: true })).toThrow(/int32/);
  });
});
