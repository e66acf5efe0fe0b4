/**
 * The decoder's stage: that of a model is trained further, or made deeper, while its latents stay those that its UNet knows
 * (as the decoders were of Stable Diffusion's improved autoencoders).
 */
import { join } from 'node:path';
import {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  encode,
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
import { countParams, initParams, offsetsOf, type ParamSpec, type Params } from '../engine/params.js';
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

/** Whether a parameter of an AutoencoderKL is of the way from latents to pictures. */
const ofDecoder = (name: string): boolean => /^(decoder|post_quant_conv)\./.test(name);

/** Copies parameters between a whole autoencoder's and its decoder's, which lie in the same order. */
class Half {
  readonly specs: readonly ParamSpec[];
  private readonly parts: readonly { whole: number; own: number; size: number }[];

  constructor(specs: readonly ParamSpec[]) {
    this.specs = specs.filter(({ name }) => ofDecoder(name));
    const whole = offsetsOf(specs);
    const own = offsetsOf(this.specs);
    this.parts = this.specs.map((spec, i) => ({
      whole: whole[specs.indexOf(spec)],
      own: own[i],
      size: countParams([spec]),
    }));
  }

  of(flat: Float32Array): Float32Array {
    const half = new Float32Array(countParams(this.specs));
    for (const { whole, own, size } of this.parts) half.set(flat.subarray(whole, whole + size), own);
    return half;
  }

  /** The whole with this half in the place of its own. */
  into(flat: Float32Array, half: Float32Array): Float32Array {
    const changed = flat.slice();
    for (const { whole, own, size } of this.parts) changed.set(half.subarray(own, own + size), whole);
    return changed;
  }
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
  const half = new Half(specs);
  const random = new Random(seed, 'decoder');
  const start = autoencoderWeightsFrom(before, network, initParams(specs, random.fork('init')), from);
  const batches = new Batches(dataset, { batchSize: picturesAStep(settings), seed, augment });
  const batch = autoencoderBatch(model, batches, random, settings.latent_noise);
  const constants = asConstants(specs, start, (name) => !ofDecoder(name));
  const encoder = encoderOf(model, constants, options);
  try {
    return await runStage(
      {
        name: 'decoder',
        dir: run,
        settings,
        specs: half.specs,
        loss: decoderLoss(model, settings),
        init: () => half.of(start),
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
          const params = half.into(start, ema);
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
