import { beforeAll, describe, expect, it } from 'vitest';
import { initParams, unflatten } from '../../src/engine/params.js';
import { type Tensor4D, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import {
  type ClassicUNetInput,
  classicUNet,
  classicUNetSpecs,
  parseClassicUNetConfig,
} from '../../src/unet/index.js';
import { centrePad, maxPool2x } from '../../src/unet/movement.js';
import {
  expectSpecs,
  gradientError,
  loadParams,
  loadRecorded,
  lossAndGradients,
  maxDifference,
  readJson,
  shapesOf,
} from '../fixtures/models/load.js';

type Shape = [number, number, number, number];

beforeAll(async () => {
  await tf.setBackend('cpu');
});

async function load(name: string) {
  const config = parseClassicUNetConfig(readJson(`${name}/config.json`));
  const params = await loadParams(`${name}/model.safetensors`);
  const io = await loadRecorded(`${name}/io.safetensors`);
  return { config, params, io, sample: io.activation('sample') };
}

describe.each(['classic', 'classic-bias'])('classic U-Net agrees with PyTorch: %s', (name) => {
  it('has the same parameters', async () => {
    const { config, params } = await load(name);
    expectSpecs(classicUNetSpecs(config), shapesOf(params));
  });

  it('gives the same logits in evaluation', async () => {
    const { config, params, io, sample } = await load(name);
    const { logits, stats } = classicUNet(config, params, sample, { training: false });
    const error = maxDifference(logits, io.activation('eval_output'));
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'evaluation', error);
    expect(error).toBeLessThan(1e-4);
    expect(stats).toEqual({});
  });

  it('gives the same logits and statistics in training', async () => {
    const { config, params, io, sample } = await load(name);
    const { logits, stats } = classicUNet(config, params, sample, { training: true });
    const error = maxDifference(logits, io.activation('train_output'));
    expect(error).toBeLessThan(1e-4);
    const names = io.under('stats');
    expect(Object.keys(stats).sort()).toEqual(names.sort());
    const errors = names.map((key) => maxDifference(stats[key], io.plain(`stats.${key}`)));
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'training', error, Math.max(...errors));
    expect(Math.max(...errors)).toBeLessThan(1e-5);
  });

  it('gives the same gradients', async () => {
    const { config, params, io, sample } = await load(name);
    const target = io.activation('target');
    const { loss, gradients } = lossAndGradients(params, (p) => {
      const { logits } = classicUNet(config, p, sample, { training: true });
      return tf.losses.sigmoidCrossEntropy(target, logits);
    });
    expect(loss).toBeCloseTo(io.plain('loss').dataSync()[0], 5);
    const error = gradientError(gradients, io);
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'gradients', error);
    expect(error).toBeLessThan(1e-3);
  });
});

describe('classic U-Net', () => {
  const make = (input: ClassicUNetInput) => {
    const config = parseClassicUNetConfig(input);
    const specs = classicUNetSpecs(config);
    return { config, params: unflatten(specs, tf.tensor1d(initParams(specs, new Random(3)))) };
  };

  it("has the paper's parameters by default", () => {
    const shapes = readJson('classic/paper-shapes.json') as Record<string, number[]>;
    expectSpecs(classicUNetSpecs(parseClassicUNetConfig({})), shapes);
  });

  it.each([
    [16, 16],
    [17, 31],
    [572, 572],
  ])('takes %i×%i', (height, width) => {
    const { config, params } = make({ base: 1, n_channels: 1, n_classes: 1 });
    const { logits } = classicUNet(config, params, tf.ones([1, height, width, 1]), { training: false });
    expect(logits.shape).toEqual([1, height, width, 1]);
    expect(tf.all(tf.isFinite(logits)).dataSync()[0]).toBe(1);
  });

  it('leaves only its results behind', () => {
    const { config, params } = make({ base: 1, levels: 2, n_channels: 1 });
    const x = tf.ones([1, 5, 5, 1]) as Tensor4D;
    const before = tf.memory().numTensors;
    const { logits, stats } = classicUNet(config, params, x, { training: true });
    expect(tf.memory().numTensors).toBe(before + 1 + Object.keys(stats).length);
    tf.dispose([logits, ...Object.values(stats)]);
  });

  it('refuses pictures too small or of other channels', () => {
    const { config, params } = make({ base: 1, levels: 3 });
    const run = (shape: Shape) => classicUNet(config, params, tf.ones(shape), { training: false });
    expect(() => run([1, 7, 20, 3])).toThrow(/at least 8×8/);
    expect(() => run([1, 8, 8, 4])).toThrow(InputError);
  });
});

describe('movement', () => {
  it('pools with floor, and sends the gradient to the largest', () => {
    const x = tf.tensor4d([1, 2, 9, 4, 3, 9, 9, 9, 9], [1, 3, 3, 1]);
    expect(maxPool2x(x).dataSync()).toEqual(new Float32Array([4]));
    const g = tf.grad((t) => tf.mul(tf.sum(maxPool2x(t as Tensor4D)), 5))(x);
    expect([...g.dataSync()]).toEqual([0, 0, 0, 5, 0, 0, 0, 0, 0]);
  });

  it('pads around the centre, the odd row last', () => {
    const y = centrePad(tf.ones([1, 1, 1, 1]), 4, 3);
    expect([...y.dataSync()]).toEqual([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
  });
});
