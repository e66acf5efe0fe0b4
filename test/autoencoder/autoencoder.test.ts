import { beforeAll, describe, expect, it } from 'vitest';
import {
  autoencoderSpecs,
  decode,
  downscale,
  encode,
  klDivergence,
  parseAutoencoderConfig,
  sampleLatents,
  scaleLatents,
  unscaleLatents,
} from '../../src/autoencoder/index.js';
import { type Tensor4D, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import {
  expectSpecs,
  gradientError,
  loadParams,
  loadRecorded,
  lossAndGradients,
  maxDifference,
  readJson,
  relativeDifference,
  shapesOf,
} from '../fixtures/models/load.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(['autoencoder-kl', 'autoencoder-bare', 'autoencoder-attn'])(
  'autoencoder agrees with diffusers: %s',
  (name) => {
    async function load() {
      const config = parseAutoencoderConfig(readJson(`${name}/config.json`));
      const params = await loadParams(`${name}/diffusion_pytorch_model.safetensors`);
      const io = await loadRecorded(`${name}/io.safetensors`);
      return { config, params, io };
    }

    it('has the same parameters', async () => {
      const { config, params } = await load();
      expectSpecs(autoencoderSpecs(config), shapesOf(params));
    });

    it('encodes, draws and decodes the same', async () => {
      const { config, params, io } = await load();
      const posterior = encode(config, params, io.activation('pictures'));
      const latents = sampleLatents(posterior.mean, posterior.logvar, io.activation('noise'));
      const errors = {
        mean: maxDifference(posterior.mean, io.activation('mean')),
        logvar: maxDifference(posterior.logvar, io.activation('logvar')),
        latents: maxDifference(latents, io.activation('latents')),
        output: maxDifference(decode(config, params, io.activation('latents')), io.activation('output')),
        kl: relativeDifference(klDivergence(posterior), io.plain('kl')),
      };
      if (process.env.SUMI_SHOW_ERRORS) console.log(name, errors);
      for (const error of Object.values(errors)) expect(error).toBeLessThan(1e-4);
    });

    it('gives the same gradients', async () => {
      const { config, params, io } = await load();
      const [pictures, noise, target] = ['pictures', 'noise', 'target'].map(io.activation);
      const { loss, gradients } = lossAndGradients(params, (p) => {
        const posterior = encode(config, p, pictures);
        const y = decode(config, p, sampleLatents(posterior.mean, posterior.logvar, noise));
        const kl = tf.mean(klDivergence(posterior));
        return tf.add(tf.mean(tf.square(tf.sub(y, target))), tf.mul(kl, 0.01));
      });
      expect(loss).toBeCloseTo(io.plain('loss').dataSync()[0], 4);
      const error = gradientError(gradients, io);
      if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'gradients', error);
      expect(error).toBeLessThan(1e-3);
    });
  },
);

describe('latents', () => {
  const base = { block_out_channels: [32], norm_num_groups: 8, latent_channels: 2 };
  const latents = () => tf.tensor4d([1, 2, 3, 4], [1, 1, 2, 2]);

  it('scales by factor and shift, and back', () => {
    const config = parseAutoencoderConfig({ ...base, scaling_factor: 0.5, shift_factor: 1 });
    const scaled = scaleLatents(config, latents());
    expect([...scaled.dataSync()]).toEqual([0, 0.5, 1, 1.5]);
    expect(maxDifference(unscaleLatents(config, scaled), latents())).toBeLessThan(1e-6);
  });

  it('scales by mean and deviation of each channel', () => {
    const config = parseAutoencoderConfig({
      ...base,
      scaling_factor: 2,
      latents_mean: [1, 2],
      latents_std: [1, 4],
    });
    const scaled = scaleLatents(config, latents());
    expect([...scaled.dataSync()]).toEqual([0, 0, 4, 1]);
    expect(maxDifference(unscaleLatents(config, scaled), latents())).toBeLessThan(1e-6);
  });

  it('clamps the log-variance', () => {
    const config = parseAutoencoderConfig({ ...base, use_quant_conv: false, use_post_quant_conv: false });
    const zeros = Object.fromEntries(autoencoderSpecs(config).map((s) => [s.name, tf.zeros([...s.shape])]));
    const params = { ...zeros, 'encoder.conv_out.bias': tf.tensor1d([100, 200, 100, -100]) };
    const { mean, logvar } = encode(config, params, tf.zeros([1, 1, 1, 3]));
    expect([...mean.dataSync()]).toEqual([100, 200]);
    expect([...logvar.dataSync()]).toEqual([20, -30]);
  });

  it('has no divergence at the standard normal', () => {
    const zeros = tf.zeros([2, 1, 1, 3]) as Tensor4D;
    expect([...klDivergence({ mean: zeros, logvar: zeros }).dataSync()]).toEqual([0, 0]);
  });
});

describe('bad input', () => {
  it.each([
    [{ down_block_types: ['DownBlock2D'] }, 'down_block_types.0: "DownBlock2D"'],
    [{ block_out_channels: [64, 64] }, 'down_block_types has 1 entries'],
    [{ norm_num_groups: 48 }, 'does not divide 64'],
    [{ latents_mean: [0, 0, 0, 0] }, 'go together'],
    [{ latents_mean: [0], latents_std: [1] }, 'latents_mean has 1 entries'],
    [{ scaling_factor: 0 }, 'scaling_factor: 0'],
    [{ scale_factor: 1 }, 'unknown key "scale_factor"'],
    [{ _class_name: 'VQModel' }, 'a config of VQModel, not AutoencoderKL'],
  ])('config %j', (value, message) => {
    expect(() => parseAutoencoderConfig(value)).toThrow(InputError);
    expect(() => parseAutoencoderConfig(value)).toThrow(message);
  });

  it('shapes', () => {
    const config = parseAutoencoderConfig({
      block_out_channels: [32, 32],
      down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
      up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    });
    expect(downscale(config)).toBe(2);
    expect(() => encode(config, {}, tf.zeros([1, 3, 4, 3]))).toThrow(/multiples of 2/);
    expect(() => encode(config, {}, tf.zeros([1, 4, 4, 1]))).toThrow(/\[N, H, W, 3\]/);
    expect(() => decode(config, {}, tf.zeros([1, 4, 4, 3]))).toThrow(/\[N, H, W, 4\]/);
    expect(() => decode(config, {}, tf.zeros([1, 4, 4, 4]))).toThrow(/post_quant_conv\.weight/);
  });
});
