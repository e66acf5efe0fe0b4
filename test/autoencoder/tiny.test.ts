import { beforeAll, describe, expect, it } from 'vitest';
import {
  decodeTiny,
  encodeTiny,
  openAutoencoder,
  packLatents,
  parseTinyConfig,
  tinyNetwork,
  tinySpecs,
  unpackLatents,
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

describe.each(['tiny-relu', 'tiny-mish'])('AutoencoderTiny agrees with diffusers: %s', (name) => {
  async function load() {
    const config = parseTinyConfig(readJson(`${name}/config.json`));
    const params = await paramsOf(name, tinySpecs(config));
    return { config, params, io: await loadRecorded(`${name}/io.safetensors`) };
  }

  it('has the same parameters', async () => {
    const { config, params } = await load();
    expectSpecs(tinySpecs(config), shapesOf(params));
  });

  it('encodes, decodes and packs latents the same', async () => {
    const { config, params, io } = await load();
    const latents = io.activation('latents');
    const errors = {
      latents: maxDifference(encodeTiny(config, params, io.activation('pictures')), latents),
      output: maxDifference(decodeTiny(config, params, latents), io.activation('output')),
      packed: maxDifference(packLatents(config, latents), io.activation('packed')),
      unpacked: maxDifference(unpackLatents(config, io.activation('packed')), io.activation('unpacked')),
    };
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, errors);
    for (const error of Object.values(errors)) expect(error).toBeLessThan(1e-5);
  });

  it('gives the same gradients', async () => {
    const { config, params, io } = await load();
    const [pictures, target] = ['pictures', 'target'].map(io.activation);
    const { loss, gradients } = lossAndGradients(params, (p) => {
      const y = decodeTiny(config, p, encodeTiny(config, p, pictures));
      return tf.mean(tf.square(tf.sub(y, target)));
    });
    expect(loss).toBeCloseTo(io.plain('loss').dataSync()[0], 4);
    const error = gradientError(gradients, io);
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'gradients', error);
    expect(error).toBeLessThan(1e-3);
  });

  it('scales latents by factor and shift', async () => {
    const { config, params, io } = await load();
    const network = tinyNetwork(config);
    const latents = io.activation('latents');
    const scaled = tf.mul(tf.sub(latents, config.shift_factor ?? 0), config.scaling_factor) as Tensor4D;
    expect(maxDifference(network.encode(params, io.activation('pictures')), scaled)).toBeLessThan(1e-5);
    expect(maxDifference(network.decode(params, scaled), io.activation('output'))).toBeLessThan(1e-5);
  });
});

it('takes TAESD', () => {
  // By diffusers 0.42.
  expect(countParams(tinySpecs(parseTinyConfig({})))).toBe(2445063);
});

describe('bad input', () => {
  it.each([
    [{ encoder_block_out_channels: [64] }, 'encoder_block_out_channels has 1 entries, num_encoder_blocks 4'],
    [{ decoder_block_out_channels: [64, 64, 32, 64] }, 'decoder_block_out_channels 64, 64, 32, 64'],
    [{ upsampling_scaling_factor: 4 }, 'reduces 8 times, the decoder enlarges 64 times'],
    [{ upsample_fn: 'bicubic' }, 'upsample_fn: "bicubic"'],
    [{ act_fn: 'tanh' }, 'act_fn: "tanh"'],
    [{ latent_magnitude: 0 }, 'latent_magnitude: 0'],
    [{ layers: 5 }, 'unknown key "layers"'],
    [{ _class_name: 'VQModel' }, 'a config of VQModel, not AutoencoderTiny'],
  ])('config %j', (value, message) => {
    expect(() => parseTinyConfig(value)).toThrow(InputError);
    expect(() => parseTinyConfig(value)).toThrow(message);
  });

  it('shapes', () => {
    const config = parseTinyConfig({});
    expect(() => encodeTiny(config, {}, tf.zeros([1, 12, 16, 3]))).toThrow(/multiples of 8/);
    expect(() => encodeTiny(config, {}, tf.zeros([1, 8, 8, 1]))).toThrow(/\[N, H, W, 3\]/);
    expect(() => decodeTiny(config, {}, tf.zeros([1, 4, 4, 3]))).toThrow(/\[N, H, W, 4\]/);
  });

  it.each(['AsymmetricAutoencoderKL', 'constructor'])('class %s', (name) => {
    expect(() => openAutoencoder(name, {}, 'here')).toThrow(InputError);
    expect(() => openAutoencoder(name, {}, 'here')).toThrow(/— here — use .*AutoencoderTiny/);
  });
});
