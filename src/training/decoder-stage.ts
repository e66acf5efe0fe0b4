/**
 * The decoder's stage: that of a model is trained further, or made deeper, while its latents stay those that its UNet knows
 * (as the decoders were of Stable Diffusion's improved autoencoders).
 */
import { join } from 'node:path';
import {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  encode,
  isOfDecoder,
  isOfEncoder,
  klNetwork,
  parseAutoencoderConfig,
  sampleLatents,
  scaleLatents,
  unscaleLatents,
} from '../autoencoder/index.js';
import type { JsonObject } from '../checkpoint/json.js';
import { readPipelineDir } from '../checkpoint/pipeline.js';
import { partsOf, writePipelineDir } from '../checkpoint/write.js';
import { Batches, type Dataset } from '../data/index.js';
import { Compiled, type CompileOptions } from '../engine/compile.js';
import { countParams, initParams, type ParamSpec, type Params, viewParams } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { type Tensor, type Tensor4D, tf } from '../engine/tf.js';
import { asConstants } from '../pipelines/constants.js';
import { Random } from '../random.js';
import { picturesAStep } from './accumulate.js';
import { autoencoderBatch, decoderLoss } from './autoencoder.js';
import { readAutoencoder, writeReconstructions } from './autoencoder-stage.js';
import type { AutoencoderStage, TrainConfig } from './config.js';
import { autoencoderWeightsFrom } from './init.js';
import { fingerprintOf, runStage, type StageOptions, type StageResult } from './loop.js';
import { samplePath } from './run-dir.js';

/** Copies the parameters that two networks have by the same names. @returns `to` */
function copyShared(
  fromSpecs: readonly ParamSpec[],
  from: Float32Array,
  toSpecs: readonly ParamSpec[],
  to: Float32Array,
): Float32Array {
  const targets = viewParams(toSpecs, to);
  for (const [name, values] of Object.entries(viewParams(fromSpecs, from))) targets[name]?.set(values);
  return to;
}

/** Pictures to latents drawn from the encoder's distribution, `error`, if any, added to them where they are scaled. */
function encoderOf(config: AutoencoderConfig, constants: Record<string, Feed>, options: CompileOptions) {
  const fn = ({ pictures, noise, error, ...params }: Record<string, Tensor>) => {
    const { mean, logvar } = encode(config, params as Params, pictures as Tensor4D);
    const latents = sampleLatents(mean, logvar, noise as Tensor4D);
    if (!error) return { latents };
    return { latents: unscaleLatents(config, tf.add(scaleLatents(config, latents), error)) };
  };
  return new Compiled(fn, { ...options, constants, name: 'encoder' });
}

/**
 * Trains the decoder of a model; the run's `model/`, the model with that decoder, is renewed at every checkpoint.
 * @param from the model
 * @throws as `runStage`
 */
export async function trainDecoder(
  run: string,
  dataset: Dataset,
  config: TrainConfig,
  options: StageOptions,
  from: string,
): Promise<StageResult> {
  const { size, seed, augment } = config;
  const settings = config.autoencoder as AutoencoderStage;
  const base = await readPipelineDir(from);
  const before = await readAutoencoder(from, size);
  // Settings that name a deeper network need not repeat how the model's latents are scaled.
  const { scaling_factor, shift_factor, latents_mean, latents_std } = before.network
    .config as AutoencoderConfig;
  const scale = { scaling_factor, shift_factor, latents_mean, latents_std };
  const model = parseAutoencoderConfig({ ...settings.model, ...scale, sample_size: size });
  const network = klNetwork(model);
  const { specs } = network;
  const half = specs.filter(({ name }) => isOfDecoder(name));
  const random = new Random(seed, 'decoder');
  const start = autoencoderWeightsFrom(before, network, initParams(specs, random.fork('init')), from);
  const batches = new Batches(dataset, { batchSize: picturesAStep(settings), seed, augment });
  const batch = autoencoderBatch(model, batches, random, settings.latent_noise);
  const constants = asConstants(specs, start, isOfEncoder);
  const encoder = encoderOf(model, constants, options);
  try {
    return await runStage(
      {
        name: 'decoder',
        dir: run,
        settings,
        specs: half,
        loss: decoderLoss(model, settings),
        init: () => copyShared(specs, start, half, new Float32Array(countParams(half))),
        batch: async (step) => {
          const { pictures, ...noise } = batch(step);
          const { latents } = await encoder.run({ pictures, ...noise });
          return { pictures, latents: { ...noise.noise, data: latents } };
        },
        fingerprint: fingerprintOf(
          dataset.fingerprint,
          model,
          seed,
          picturesAStep(settings),
          augment,
          'decoder',
        ),
        publish: async (ema, step) => {
          const params = copyShared(half, ema, specs, start.slice());
          await writeReconstructions(samplePath(run, step), dataset, model, params, options);
          await writePipelineDir(
            join(run, 'model'),
            {
              ...partsOf(base),
              autoencoder: {
                className: AUTOENCODER_CLASS_NAME,
                config: model as unknown as JsonObject,
                weights: { specs, params },
                folder: base.autoencoder?.folder,
              },
              ...(base.refiner && { refiner: base.refiner }),
              sumi: {
                version: 1,
                ...base.sumi,
                decoder: { step, config: settings as unknown as JsonObject },
              },
            },
            options.dtype,
          );
          return {};
        },
      },
      options,
    );
  } finally {
    await encoder.dispose();
  }
}
