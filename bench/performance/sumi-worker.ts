/**
 * Runs one case in Sumi for run.ts: builds, says how long that took, then runs as often as each line of its input
 * asks and answers with the milliseconds.
 *
 *   node --import tsx bench/performance/sumi-worker.ts 'CASE AS JSON' CHECKPOINTS [int8]
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  type AutoencoderConfig,
  autoencoderSpecs,
  decode,
  encode,
  parseAutoencoderConfig,
} from '../../src/autoencoder/index.js';
import { readJsonObject } from '../../src/checkpoint/json.js';
import { loadParams } from '../../src/checkpoint/load.js';
import { readPipelineDir } from '../../src/checkpoint/pipeline.js';
import { Compiled, type TensorFunction } from '../../src/engine/compile.js';
import { countParams, type ParamSpec, type Params, viewParams } from '../../src/engine/params.js';
import type { Feed } from '../../src/engine/session.js';
import { type Scalar, type Tensor, type Tensor1D, type Tensor4D, tf } from '../../src/engine/tf.js';
import { asConstants } from '../../src/pipelines/constants.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { freshVectors, type LossFunction, TrainStep } from '../../src/training/step.js';
import {
  classicUNet,
  classicUNetSpecs,
  isBuffer,
  parseClassicUNetConfig,
  parseUNet2DConfig,
  unet2d,
  unet2dSpecs,
} from '../../src/unet/index.js';
import type { Case } from './cases.js';

/** What a case comes down to: something to run, and numbers that tell whether both sides computed the same. */
interface Work {
  run(): Promise<unknown>;
  probe(): Promise<number[]>;
}

const precision = process.argv[4] === 'int8' ? 'int8' : 'fp32';

/** Inputs both sides can make: sin(12.9898 k) at place k of the array in channels-first order. */
function wave([n, h, w, c]: readonly number[]): Feed {
  const data = new Float32Array(n * h * w * c);
  let k = 0;
  for (let i = 0; i < n; i++)
    for (let z = 0; z < c; z++)
      for (let p = 0; p < h * w; p++) data[(i * h * w + p) * c + z] = Math.sin(12.9898 * k++);
  return { data, shape: [n, h, w, c], dtype: 'float32' };
}

const counted = (n: number, f: (i: number) => number): Feed => ({
  data: Float32Array.from({ length: n }, (_, i) => f(i)),
  shape: [n],
  dtype: 'float32',
});

/** Mean and root mean square: the order of the numbers plays no part. */
function summary(data: ArrayLike<number>): number[] {
  let [sum, square] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    sum += data[i];
    square += data[i] ** 2;
  }
  return [sum / data.length, Math.sqrt(square / data.length)];
}

function forward(
  specs: readonly ParamSpec[],
  flat: Float32Array,
  inputs: Record<string, Feed>,
  fn: (params: Params, inputs: Record<string, Tensor>) => Tensor,
): Work {
  const names = Object.keys(inputs);
  const traced: TensorFunction = (all) => {
    const own = Object.fromEntries(names.map((name) => [name, all[name]]));
    return { y: fn(all as Params, own) };
  };
  const compiled = new Compiled(traced, { precision, constants: asConstants(specs, flat) });
  const run = async () => (await compiled.run(inputs)).y;
  return { run, probe: async () => summary(await run()) };
}

function training(
  specs: readonly ParamSpec[],
  flat: Float32Array,
  inputs: Record<string, Feed>,
  loss: LossFunction,
): Work {
  const step = new TrainStep(specs, loss, freshVectors(flat));
  let count = 0;
  const run = () => step.run(inputs, ++count, 1e-4, 0.999);
  return {
    run,
    probe: async () => {
      const result = await run();
      return [result.loss, result.gradNorm];
    },
  };
}

const mse = (a: Tensor, b: Tensor) => tf.mean(tf.squaredDifference(a, b)) as Scalar;

async function unetWork(c: Case, dir: string): Promise<Work> {
  const { unet } = await readPipelineDir(dir);
  const config = parseUNet2DConfig(unet.config);
  const specs = unet2dSpecs(config);
  const flat = await loadParams(specs, unet.weights);
  const side = config.sample_size as number;
  const sample = wave([c.batch, side, side, config.in_channels]);
  const timesteps = counted(c.batch, (i) => 900 - i);
  const inputs: Record<string, Feed> = { sample, timesteps };
  if (config.num_class_embeds)
    inputs.labels = {
      data: Int32Array.from({ length: c.batch }, (_, i) => i % 8),
      shape: [c.batch],
      dtype: 'int32',
    };
  const network = (params: Params, x: Record<string, Tensor>) =>
    unet2d(config, params, x.sample as Tensor4D, x.timesteps as Tensor1D, x.labels as Tensor1D | undefined);
  if (c.task === 'predict') return forward(specs, flat, inputs, network);
  return training(specs, flat, inputs, (params, x) => ({
    loss: mse(network(params, x), x.sample),
  }));
}

async function autoencoderWork(c: Case, dir: string): Promise<Work> {
  const { autoencoder } = await readPipelineDir(dir);
  if (!autoencoder) throw new Error(`no autoencoder in ${dir}`);
  const config: AutoencoderConfig = parseAutoencoderConfig(autoencoder.config);
  const specs = autoencoderSpecs(config);
  const flat = await loadParams(specs, autoencoder.weights);
  const side = config.sample_size as number;
  const latent = side / 2 ** (config.block_out_channels.length - 1);
  return c.task === 'encode'
    ? forward(
        specs,
        flat,
        { x: wave([c.batch, side, side, 3]) },
        (params, { x }) => encode(config, params, x as Tensor4D).mean,
      )
    : forward(specs, flat, { z: wave([c.batch, latent, latent, config.latent_channels]) }, (params, { z }) =>
        decode(config, params, z as Tensor4D),
      );
}

async function classicWork(c: Case, dir: string): Promise<Work> {
  const config = parseClassicUNetConfig(await readJsonObject(join(dir, 'config.json')));
  const specs = classicUNetSpecs(config);
  const flat = await loadParams(specs, join(dir, 'model.safetensors'));
  const side = c.size as number;
  const inputs = { x: wave([c.batch, side, side, config.n_channels]) };
  if (c.task === 'predict')
    return forward(
      specs,
      flat,
      inputs,
      (params, { x }) => classicUNet(config, params, x as Tensor4D, { training: false }).logits,
    );
  // The norms' running statistics have no gradient: they are inputs beside the parameters.
  const views = viewParams(specs, flat);
  const trained = specs.filter((spec) => !isBuffer(spec));
  const buffers: Record<string, Feed> = Object.fromEntries(
    specs.filter(isBuffer).map(({ name, shape }) => [name, { data: views[name], shape, dtype: 'float32' }]),
  );
  const start = new Float32Array(countParams(trained));
  const into = viewParams(trained, start);
  for (const { name } of trained) into[name].set(views[name]);
  return training(trained, start, { ...inputs, ...buffers }, (params, { x, ...held }) => {
    const { logits } = classicUNet(config, { ...params, ...held }, x as Tensor4D, { training: true });
    return { loss: mse(logits, tf.slice(x as Tensor4D, [0, 0, 0, 0], [c.batch, side, side, 2])) };
  });
}

async function sampleWork(dir: string): Promise<Work> {
  const pipeline = await DiffusionPipeline.fromPretrained(dir, { precision });
  const run = () =>
    pipeline.generate({
      steps: 50,
      scheduler: 'ddim',
      guidanceScale: 2,
      seed: 1,
      label: pipeline.labels[0],
      // diffusers has no second stage.
      refine: false,
    });
  return { run, probe: async () => [] };
}

function work(c: Case, dir: string): Promise<Work> {
  if (c.task === 'sample') return sampleWork(dir);
  if (c.kind === 'unet') return unetWork(c, dir);
  return c.kind === 'autoencoder' ? autoencoderWork(c, dir) : classicWork(c, dir);
}

const say = (message: object) => console.log(JSON.stringify(message));

const c = JSON.parse(process.argv[2]) as Case;
const opened = performance.now();
const { run, probe } = await work(c, process.argv[3]);
const numbers = await probe();
say({ buildMs: performance.now() - opened, probe: numbers });
for await (const line of createInterface({ input: process.stdin })) {
  const ms: number[] = [];
  for (let i = 0; i < Number(line); i++) {
    const start = performance.now();
    await run();
    ms.push(performance.now() - start);
  }
  say({ ms, rssMb: process.resourceUsage().maxRSS / 1024 });
}
