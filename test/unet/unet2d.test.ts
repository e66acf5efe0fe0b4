import { beforeAll, describe, expect, it } from 'vitest';
import { initParams } from '../../src/engine/params.js';
import { type Tensor1D, type Tensor4D, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import {
  type ClassLabels,
  parseUNet2DConfig,
  unet2d,
  unet2dNetwork,
  unet2dSpecs,
} from '../../src/unet/index.js';
import {
  expectSpecs,
  gradientError,
  loadRecorded,
  lossAndGradients,
  maxDifference,
  paramsOf,
  readJson,
  relativeDifference,
  shapesOf,
} from '../fixtures/models/load.js';

const CASES = [
  'unet-ddpm',
  'unet-scale-shift',
  'unet-class-timestep',
  'unet-class-identity',
  'unet-no-middle',
  'unet-ncsnpp',
  'unet-attn-skip',
  'unet-resnet-resize',
  'unet-mixed',
];

type Shape = [number, number, number, number];

beforeAll(async () => {
  await tf.setBackend('cpu');
});

async function load(name: string) {
  const config = parseUNet2DConfig(readJson(`${name}/config.json`));
  const params = await paramsOf(name, unet2dSpecs(config));
  const io = await loadRecorded(`${name}/io.safetensors`);
  const labels = io.has('class_labels') ? (io.plain('class_labels') as ClassLabels) : undefined;
  const timesteps = io.plain('timesteps') as Tensor1D;
  return { config, params, io, labels, timesteps, sample: io.activation('sample') };
}

describe.each(CASES)('UNet2D agrees with diffusers: %s', (name) => {
  it('has the same parameters', async () => {
    const { config, params, io } = await load(name);
    expectSpecs(unet2dSpecs(config), shapesOf(params));
    const names = unet2dSpecs(config).map((spec) => spec.name);
    expect(names.sort()).toEqual(io.under('probe').sort());
  });

  it('gives the same output', async () => {
    const { config, params, io, labels, timesteps, sample } = await load(name);
    const error = maxDifference(unet2d(config, params, sample, timesteps, labels), io.activation('output'));
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'output', error);
    expect(error).toBeLessThan(1e-4);
  });

  it('gives the same output cut at any skip connection, its deep part kept or reused', async () => {
    const { config, params, io, labels, timesteps, sample } = await load(name);
    const network = unet2dNetwork(config);
    const size = [sample.shape[1], sample.shape[2]] as const;
    const inputs = { sample, timesteps, labels: labels as Tensor1D | undefined };
    if (config.down_block_types.some((type) => type.includes('Skip'))) {
      expect(() => network.deepShape(0, size)).toThrow(/Skip blocks cannot reuse/);
      return;
    }
    const skips = config.down_block_types.length * (config.layers_per_block + 1);
    for (let branch = 0; branch < skips; branch++) {
      const kept = network.predictCut(params, inputs, { branch });
      expect(kept.deep.shape).toEqual([sample.shape[0], ...network.deepShape(branch, size)]);
      const reused = network.predictCut(params, inputs, { branch, deep: kept.deep });
      const others = network.predictCut(params, inputs, { branch, deep: tf.mul(kept.deep, 0.5) });
      expect(maxDifference(kept.output, io.activation('output'))).toBeLessThan(1e-4);
      expect(maxDifference(reused.output, io.activation('output'))).toBeLessThan(1e-4);
      expect(maxDifference(others.output, io.activation('output'))).toBeGreaterThan(1e-4);
    }
    expect(() => network.deepShape(skips, size)).toThrow(`from 0 to ${skips - 1}`);
  });

  it('gives the same gradients', async () => {
    const { config, params, io, labels, timesteps, sample } = await load(name);
    const target = io.activation('target');
    const mse = (y: Tensor4D) => tf.mean(tf.square(tf.sub(y, target)));
    const { loss, gradients } = lossAndGradients(params, (p) =>
      mse(unet2d(config, p, sample, timesteps, labels)),
    );
    expect(loss).toBeCloseTo(io.plain('loss').dataSync()[0], 4);
    const error = gradientError(gradients, io);
    const ofSample = tf.grad((x) => mse(unet2d(config, params, x as Tensor4D, timesteps, labels)))(sample);
    const inputError = relativeDifference(ofSample, io.activation('grad_sample'));
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'gradients', error, inputError);
    expect(error).toBeLessThan(1e-3);
    expect(inputError).toBeLessThan(1e-3);
  });
});

describe('UNet2D', () => {
  const small = {
    block_out_channels: [4, 4],
    down_block_types: ['DownBlock2D', 'DownBlock2D'],
    up_block_types: ['UpBlock2D', 'UpBlock2D'],
    layers_per_block: 1,
    norm_num_groups: 2,
    attention_head_dim: null,
  };
  const zerosOf = (config: ReturnType<typeof parseUNet2DConfig>) => {
    const specs = unet2dSpecs(config);
    return Object.fromEntries(specs.map((s) => [s.name, tf.zeros([...s.shape])]));
  };

  it('starts from PyTorch-like values', () => {
    const specs = unet2dSpecs(parseUNet2DConfig({ ...small, num_class_embeds: 3 }));
    const of = (name: string) => specs.find((s) => s.name === name)?.init;
    expect(of('conv_in.weight')).toEqual({ uniform: 1 / Math.sqrt(27) });
    expect(of('conv_in.bias')).toEqual({ uniform: 1 / Math.sqrt(27) });
    expect(of('time_embedding.linear_2.bias')).toEqual({ uniform: 1 / 4 });
    expect(of('class_embedding.weight')).toEqual({ normal: 1 });
    expect(of('conv_norm_out.weight')).toEqual({ constant: 1 });
    expect(of('conv_norm_out.bias')).toEqual({ constant: 0 });
    expect(initParams(specs, new Random(1)).every(Number.isFinite)).toBe(true);
  });

  it('leaves no tensors behind', () => {
    const config = parseUNet2DConfig({ ...small, num_class_embeds: 3, layers_per_block: 2 });
    const params = zerosOf(config);
    const [x, t, labels] = [tf.zeros([1, 4, 4, 3]) as Tensor4D, tf.tensor1d([1]), tf.tensor1d([2], 'int32')];
    const before = tf.memory().numTensors;
    unet2d(config, params, x, t, labels).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses shapes that do not fit, saying what would', () => {
    const config = parseUNet2DConfig(small);
    const params = zerosOf(config);
    const t = tf.tensor1d([1]);
    const run = (shape: Shape, steps = t) => unet2d(config, params, tf.zeros(shape), steps);
    expect(() => run([1, 4, 5, 3])).toThrow(/4×5.*multiples of 2, for instance 4 or 6/);
    expect(() => run([1, 4, 4, 1])).toThrow(/\[N, H, W, 3\]/);
    expect(() => run([1, 4, 4, 3], tf.tensor1d([1, 2]))).toThrow(InputError);
  });

  it('refuses labels missing, unwanted or of the wrong kind', () => {
    const plain = parseUNet2DConfig(small);
    const classy = parseUNet2DConfig({ ...small, num_class_embeds: 3 });
    const [x, t] = [tf.zeros([1, 4, 4, 3]) as Tensor4D, tf.tensor1d([1])];
    const labels = tf.tensor1d([0], 'int32');
    expect(() => unet2d(plain, zerosOf(plain), x, t, labels)).toThrow(/no classes/);
    expect(() => unet2d(classy, zerosOf(classy), x, t)).toThrow(/no class labels/);
    expect(() => unet2d(classy, zerosOf(classy), x, t, tf.tensor1d([0]))).toThrow(/int32/);
    expect(() => unet2d(classy, zerosOf(classy), x, t, tf.tensor1d([0, 1], 'int32'))).toThrow(InputError);
  });

  it('names a missing parameter', () => {
    const config = parseUNet2DConfig(small);
    const { 'conv_out.bias': _, ...rest } = zerosOf(config);
    expect(() => unet2d(config, rest, tf.zeros([1, 4, 4, 3]), tf.tensor1d([1]))).toThrow(/conv_out\.bias/);
  });
});
