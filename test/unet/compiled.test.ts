/** The networks compiled to ONNX against the networks run eagerly: outputs and gradients. */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  decode,
  decodeTiny,
  decodeVQ,
  encode,
  encodeTiny,
  encodeVQ,
  parseAutoencoderConfig,
  parseTinyConfig,
  parseVQConfig,
  sampleLatents,
  tinySpecs,
  vqLoss,
  vqSpecs,
} from '../../src/autoencoder/index.js';
import { Compiled, type TensorFunction } from '../../src/engine/compile.js';
import type { Params } from '../../src/engine/params.js';
import { type Tensor, type Tensor1D, type Tensor3D, type Tensor4D, tf } from '../../src/engine/tf.js';
import {
  type ClassLabels,
  classicUNet,
  parseClassicUNetConfig,
  parseUNet2DConditionConfig,
  parseUNet2DConfig,
  unet2d,
  unet2dCondition,
  unet2dConditionSpecs,
  unet2dSpecs,
} from '../../src/unet/index.js';
import { loadParams, loadRecorded, paramsOf, readJson } from '../fixtures/models/load.js';

type Inputs = Record<string, Tensor>;
type Model = (params: Params, inputs: Inputs) => Inputs;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const isBuffer = (name: string) => /running_(mean|var)$/.test(name);

/** Outputs of a model and the gradient of the mean square of the first, by parameter. */
function withGradients(model: Model, paramNames: readonly string[]): TensorFunction {
  const trained = paramNames.filter((name) => !isBuffer(name));
  return (all) => {
    const outputs = model(all, all);
    const loss = (...tensors: Tensor[]) => {
      const own = Object.fromEntries(trained.map((name, i) => [name, tensors[i]]));
      return tf.mean(tf.square(Object.values(model({ ...all, ...own }, all))[0]));
    };
    const grads = tf.grads(loss)(trained.map((name) => all[name]));
    const named = Object.fromEntries(trained.map((name, i) => [`grad ${name}`, grads[i]]));
    return { ...outputs, ...named };
  };
}

async function compare(model: Model, params: Params, inputs: Inputs): Promise<void> {
  const fn = withGradients(model, Object.keys(params));
  const all = { ...params, ...inputs };
  const feeds = Object.fromEntries(
    Object.entries(all).map(([name, t]) => [
      name,
      { data: t.dataSync() as Float32Array, shape: t.shape, dtype: t.dtype as 'float32' },
    ]),
  );
  const expected = tf.tidy(() =>
    Object.fromEntries(Object.entries(fn(all)).map(([k, t]) => [k, t.dataSync()])),
  );
  const compiled = new Compiled(fn, { threads: 1 });
  const got = await compiled.run(feeds);
  await compiled.dispose();
  expect(Object.keys(got).sort()).toEqual(Object.keys(expected).sort());
  const norm = (a: ArrayLike<number>) => Math.sqrt(Array.from(a).reduce((s, v) => s + v * v, 0));
  const largest = Math.max(
    ...Object.keys(expected).map((k) => (k.startsWith('grad') ? norm(expected[k]) : 0)),
  );
  for (const [name, want] of Object.entries(expected)) {
    const difference = norm(Array.from(want, (v, i) => Number(got[name][i]) - v));
    // a gradient that vanishes by symmetry is noise on both sides
    const size = name.startsWith('grad') ? Math.max(norm(want), 1e-3 * largest) : norm(want);
    expect(difference / size, name).toBeLessThan(name.startsWith('grad') ? 1e-3 : 1e-5);
  }
}

describe('compiled networks agree with eager ones', () => {
  it.each([
    'unet-ddpm',
    'unet-scale-shift',
    'unet-class-timestep',
    'unet-class-identity',
    'unet-no-middle',
    'unet-ncsnpp',
    'unet-attn-skip',
    'unet-resnet-resize',
    'unet-mixed',
  ])('%s', async (name) => {
    const config = parseUNet2DConfig(readJson(`${name}/config.json`));
    const params = await paramsOf(name, unet2dSpecs(config));
    const io = await loadRecorded(`${name}/io.safetensors`);
    const labels: Inputs = io.has('class_labels') ? { labels: io.plain('class_labels') } : {};
    await compare(
      (p, x) => ({
        y: unet2d(config, p, x.sample as Tensor4D, x.timesteps as Tensor1D, x.labels as ClassLabels),
      }),
      params,
      { sample: io.activation('sample'), timesteps: io.plain('timesteps'), ...labels },
    );
  });

  it.each(['condition-sd1', 'condition-sd2', 'condition-mixed'])('%s', async (name) => {
    const config = parseUNet2DConditionConfig(readJson(`${name}/config.json`));
    const params = await paramsOf(name, unet2dConditionSpecs(config));
    const io = await loadRecorded(`${name}/io.safetensors`);
    await compare(
      (p, x) => ({
        y: unet2dCondition(config, p, x.sample as Tensor4D, x.timesteps as Tensor1D, x.context as Tensor3D),
      }),
      params,
      { sample: io.activation('sample'), timesteps: io.plain('timesteps'), context: io.plain('context') },
    );
  });

  it.each(['autoencoder-kl', 'autoencoder-bare', 'autoencoder-attn'])('%s', async (name) => {
    const config = parseAutoencoderConfig(readJson(`${name}/config.json`));
    const params = await loadParams(`${name}/diffusion_pytorch_model.safetensors`);
    const io = await loadRecorded(`${name}/io.safetensors`);
    await compare(
      (p, x) => {
        const { mean, logvar } = encode(config, p, x.pictures as Tensor4D);
        return { y: decode(config, p, sampleLatents(mean, logvar, x.noise as Tensor4D)) };
      },
      params,
      { pictures: io.activation('pictures'), noise: io.activation('noise') },
    );
  });

  it.each(['vq-group', 'vq-spatial'])('%s', async (name) => {
    const config = parseVQConfig(readJson(`${name}/config.json`));
    const params = await paramsOf(name, vqSpecs(config));
    const io = await loadRecorded(`${name}/io.safetensors`);
    await compare(
      (p, x) => {
        const latents = encodeVQ(config, p, x.pictures as Tensor4D);
        const y = decodeVQ(config, p, latents);
        return { loss: tf.add(tf.mean(tf.square(y)), vqLoss(p, latents)), y };
      },
      params,
      { pictures: io.activation('pictures') },
    );
  });

  it.each(['tiny-relu', 'tiny-mish'])('%s', async (name) => {
    const config = parseTinyConfig(readJson(`${name}/config.json`));
    const params = await paramsOf(name, tinySpecs(config));
    const io = await loadRecorded(`${name}/io.safetensors`);
    await compare(
      (p, x) => ({ y: decodeTiny(config, p, encodeTiny(config, p, x.pictures as Tensor4D)) }),
      params,
      { pictures: io.activation('pictures') },
    );
  });

  it.each([
    ['classic', true],
    ['classic', false],
    ['classic-bias', true],
  ])('%s, training %s', async (name, training) => {
    const config = parseClassicUNetConfig(readJson(`${name}/config.json`));
    const params = await loadParams(`${name}/model.safetensors`);
    const io = await loadRecorded(`${name}/io.safetensors`);
    await compare(
      (p, x) => {
        const { logits, stats } = classicUNet(config, p, x.sample as Tensor4D, { training });
        return { logits, ...Object.fromEntries(Object.entries(stats).map(([k, t]) => [`new ${k}`, t])) };
      },
      params,
      { sample: io.activation('sample') },
    );
  });
});
