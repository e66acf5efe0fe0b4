/** `train`: a folder of pictures in, a diffusers pipeline directory out. */
import { createHash } from 'node:crypto';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  autoencoderSpecs,
  parseAutoencoderConfig,
} from '../autoencoder/index.js';
import { isFile } from '../checkpoint/files.js';
import { formatJson, type JsonObject, readJsonObject } from '../checkpoint/json.js';
import { loadParams, saveParams } from '../checkpoint/load.js';
import { readPipelineDir } from '../checkpoint/pipeline.js';
import { listStates, loadState } from '../checkpoint/state.js';
import { findWeights, WEIGHTS_NAME } from '../checkpoint/weights.js';
import { writePipelineDir } from '../checkpoint/write.js';
import { Batches, BatchOrder, type Dataset, floatPictures, openDataset } from '../data/index.js';
import { makeBetas } from '../diffusion/index.js';
import { type Engine, isCompiled, useEagerBackend } from '../engine/engines.js';
import { countParams, initParams } from '../engine/params.js';
import { InputError } from '../errors.js';
import { contactSheet, writeFileAtomic, writePng } from '../image/index.js';
import { findModel } from '../pipelines/index.js';
import { Random } from '../random.js';
import { parseUNet2DConfig, UNET2D_CLASS_NAME, type UNet2DConfig, unet2dSpecs } from '../unet/index.js';
import { autoencoderBatch, autoencoderLoss, encodeDataset, reconstruct } from './autoencoder.js';
import { type AutoencoderStage, parseTrainConfig, type TrainConfig } from './config.js';
import { diffusionLoss, Noising } from './diffusion.js';
import { weightsFrom } from './init.js';
import { lockRun } from './lock.js';
import { type LoopOptions, runStage, type StageResult } from './loop.js';
import { createRunDir, readRunConfig, samplePath } from './run-dir.js';
import { sampleSheet } from './samples.js';

export type StageName = 'autoencoder' | 'diffusion' | 'all';

export interface TrainOptions extends LoopOptions {
  /** Folder of pictures. */
  readonly data: string;
  /** Run directory, made new. */
  readonly out: string;
  readonly config: TrainConfig;
  /** Default 'all': the autoencoder first where the configuration has one. */
  readonly stage?: StageName;
  /** A checkpoint whose autoencoder is used instead of training one. */
  readonly autoencoderFrom?: string;
  /** A checkpoint whose weights training starts from; its autoencoder is used too, unless another is named. */
  readonly initFrom?: string;
  /** What the weights of the published model are stored as. */
  readonly dtype?: 'F32' | 'F16';
  /** Folder for a compact copy of the decoded pictures. */
  readonly cache?: string;
  readonly onRead?: (done: number, total: number) => void;
}

/** What may change when a run goes on. */
export interface ResumeOptions
  extends Omit<TrainOptions, 'data' | 'out' | 'config' | 'autoencoderFrom' | 'initFrom' | 'newLength'> {
  readonly run: string;
  /** New number of steps of the stage that is trained last. Without it (or `minutes`) the run keeps its length. */
  readonly steps?: number;
  readonly learningRate?: number;
  /** Where the data lie now, if they moved. */
  readonly data?: string;
}

export interface TrainResult {
  readonly run: string;
  /** The published checkpoint, ready for `generate`; null when only the autoencoder was trained. */
  readonly model: string | null;
  readonly stages: readonly (StageResult & { readonly name: string })[];
  readonly pictures: number;
  readonly skipped: number;
  readonly labels: readonly string[];
  readonly interrupted: boolean;
}

/**
 * Trains a model on a folder of pictures.
 * @throws InputError when the folder, the configuration or `out` is no good
 * @throws RunError when training diverges or a file cannot be written
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { config, stage = 'all' } = options;
  if (stage === 'autoencoder' && !config.autoencoder) {
    throw new InputError(
      'this configuration has no autoencoder — --stage autoencoder — use --preset small or base',
    );
  }
  if (options.autoencoderFrom && !config.autoencoder) {
    throw new InputError(
      'this configuration works on pixels — --autoencoder — leave it out, or use --preset small or base',
    );
  }
  if (stage === 'diffusion' && config.autoencoder && !options.autoencoderFrom && !options.initFrom) {
    throw new InputError(
      'the autoencoder comes first — --stage diffusion — leave --stage out, or name a checkpoint by --autoencoder',
    );
  }
  const run = resolve(options.out);
  if (isInside(run, await realpath(options.data).catch(() => resolve(options.data)))) {
    throw new InputError(
      `the run would lie among its own pictures — ${run} — name an --out outside ${options.data}`,
    );
  }
  if (!isCompiled(options.engine ?? 'onnx')) await useEagerBackend(options.engine as Engine);
  const dataset = await readData(options, config);
  const initFrom = options.initFrom === undefined ? null : resolve(await findModel(options.initFrom));
  const given = options.autoencoderFrom ?? (config.autoencoder && initFrom);
  const autoencoderFrom = given ? resolve(given) : null;
  await rehearse(dataset, config, autoencoderFrom, initFrom);
  const unlock = await createRunDir(run, {
    data: resolve(options.data),
    stage,
    fingerprint: dataset.fingerprint,
    labels: [...dataset.labels],
    autoencoder_from: autoencoderFrom,
    init_from: initFrom,
    minutes: options.minutes ?? null,
    config: config as unknown as JsonObject,
  });
  try {
    return await runStages(run, dataset, config, stage, options, { autoencoderFrom, initFrom });
  } finally {
    await unlock();
  }
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || !(way.startsWith('..') || isAbsolute(way));
}

/** Finds what would stop the training later, while nothing is written yet. */
async function rehearse(
  dataset: Dataset,
  config: TrainConfig,
  autoencoderFrom: string | null,
  initFrom: string | null,
): Promise<void> {
  const { autoencoder, diffusion, augment, seed } = config;
  new Batches(dataset, { batchSize: diffusion.batch_size, seed, augment });
  makeBetas(diffusion);
  const vae = autoencoderFrom
    ? (await readAutoencoder(autoencoderFrom, config.size)).config
    : autoencoder && parseAutoencoderConfig({ ...autoencoder.model, sample_size: config.size });
  const specs = unet2dSpecs(unetFor(config, vae, dataset.labels.length));
  if (initFrom) await weightsFrom(initFrom, specs, new Float32Array(countParams(specs)));
}

/**
 * Goes on with a run from its newest sound training state, bit for bit as if it had not stopped.
 * @throws InputError when the run or its data cannot be used
 */
export async function resumeTraining(options: ResumeOptions): Promise<TrainResult> {
  const run = resolve(options.run);
  const saved = await readRunConfig(run);
  if (typeof saved.data !== 'string' || typeof saved.config !== 'object') {
    throw new InputError(`not a training run — ${run} — name the folder that was given as --out`);
  }
  const stage = options.stage ?? (saved.stage as StageName);
  const parsed = parseTrainConfig(saved.config, join(run, 'config.json'));
  const config = override(parsed, stage, options.steps, options.learningRate);
  const dataset = await readData({ ...options, data: options.data ?? saved.data }, config);
  if (dataset.fingerprint !== saved.fingerprint) {
    throw new InputError(
      `the pictures are not those that the run began with — ${options.data ?? saved.data} — restore them, or start a new run`,
    );
  }
  const newLength = options.steps !== undefined || options.minutes !== undefined;
  const minutes = newLength ? options.minutes : ((saved.minutes as number | null | undefined) ?? undefined);
  const from = {
    autoencoderFrom: (saved.autoencoder_from as string | null | undefined) ?? null,
    initFrom: (saved.init_from as string | null | undefined) ?? null,
  };
  const unlock = await lockRun(run);
  try {
    return await runStages(run, dataset, config, stage, { ...options, minutes, newLength }, from);
  } finally {
    await unlock();
  }
}

/** Steps and learning rate given on the command line belong to the stage that is trained last. */
export function override(
  config: TrainConfig,
  stage: StageName,
  steps?: number,
  rate?: number,
  batch?: number,
): TrainConfig {
  const change = {
    ...(steps === undefined ? {} : { steps }),
    ...(rate === undefined ? {} : { learning_rate: rate }),
    ...(batch === undefined ? {} : { batch_size: batch }),
  };
  if (stage === 'autoencoder' && config.autoencoder) {
    return { ...config, autoencoder: { ...config.autoencoder, ...change } };
  }
  return { ...config, diffusion: { ...config.diffusion, ...change } };
}

function readData(
  options: Pick<TrainOptions, 'data' | 'cache' | 'onRead' | 'signal'>,
  config: TrainConfig,
): Promise<Dataset> {
  const { size, background, fit, strict } = config;
  return openDataset(options.data, {
    size,
    background,
    fit,
    strict,
    cache: options.cache,
    onProgress: options.onRead,
    signal: options.signal,
  });
}

type StageOptions = LoopOptions & { readonly dtype?: 'F32' | 'F16' };

/** Share of a run's minutes that the autoencoder gets. */
const AUTOENCODER_SHARE = 0.3;

async function runStages(
  run: string,
  dataset: Dataset,
  config: TrainConfig,
  stage: StageName,
  options: StageOptions,
  { autoencoderFrom, initFrom }: { autoencoderFrom: string | null; initFrom: string | null },
): Promise<TrainResult> {
  const stages: (StageResult & { name: string })[] = [];
  const finish = (model: string | null): TrainResult => ({
    run,
    model,
    stages,
    pictures: dataset.count,
    skipped: dataset.skipped.length,
    labels: dataset.labels,
    interrupted: stages.some((s) => s.interrupted),
  });
  let vae: TrainedAutoencoder | null = null;
  if (config.autoencoder) {
    const own = join(run, 'autoencoder');
    const ready = autoencoderFrom || stage === 'diffusion' || (await finishedAutoencoder(own));
    const split = options.minutes && stage === 'all' && !ready;
    if (autoencoderFrom) vae = await readAutoencoder(autoencoderFrom, config.size);
    else if (stage === 'diffusion') vae = await readOwnAutoencoder(own, config.size);
    else {
      const minutes = split ? (options.minutes as number) * AUTOENCODER_SHARE : options.minutes;
      const result = await trainAutoencoder(own, dataset, config, config.autoencoder, {
        ...options,
        minutes,
        // A new number of steps is meant for the last stage.
        newLength: options.newLength && (stage === 'autoencoder' || (minutes !== undefined && !ready)),
      });
      stages.push({ ...result, name: 'autoencoder' });
      if (result.interrupted || stage === 'autoencoder') return finish(null);
      vae = await readOwnAutoencoder(own, config.size);
    }
    if (split) options = { ...options, minutes: (options.minutes as number) * (1 - AUTOENCODER_SHARE) };
  }
  const result = await trainDiffusion(run, dataset, config, vae, options, initFrom);
  stages.push({ ...result, name: 'diffusion' });
  return finish(join(run, 'model'));
}

const fingerprintOf = (...parts: unknown[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');

interface TrainedAutoencoder {
  readonly config: AutoencoderConfig;
  readonly params: Float32Array;
}

/** The autoencoder of a checkpoint, or of a folder `autoencoder` of a run. */
async function readAutoencoder(dir: string, size: number): Promise<TrainedAutoencoder> {
  if (await isFile(join(dir, 'model', 'config.json'))) return readOwnAutoencoder(dir, size);
  const { autoencoder } = await readPipelineDir(dir);
  if (autoencoder) return loadAutoencoder(autoencoder, dir, size);
  throw new InputError(
    `no autoencoder — ${dir} — train one with --stage autoencoder, or name a latent model`,
  );
}

/** The autoencoder that a run trained itself. */
async function readOwnAutoencoder(dir: string, size: number): Promise<TrainedAutoencoder> {
  const model = join(dir, 'model');
  if (!(await isFile(join(model, 'config.json')))) {
    throw new InputError(
      `the autoencoder is not trained to its end — ${dir} — go on with --stage autoencoder, or leave --stage out`,
    );
  }
  const config = await readJsonObject(join(model, 'config.json'));
  return loadAutoencoder({ config, weights: await findWeights(model) }, dir, size);
}

async function loadAutoencoder(
  source: { config: JsonObject; weights: Parameters<typeof loadParams>[1] },
  where: string,
  size: number,
): Promise<TrainedAutoencoder> {
  const config = parseAutoencoderConfig({ ...source.config, sample_size: size }, where);
  return { config, params: await loadParams(autoencoderSpecs(config), source.weights) };
}

async function trainAutoencoder(
  dir: string,
  dataset: Dataset,
  config: TrainConfig,
  settings: AutoencoderStage,
  options: StageOptions,
): Promise<StageResult> {
  await mkdir(dir, { recursive: true });
  const model = parseAutoencoderConfig({ ...settings.model, sample_size: config.size });
  const specs = autoencoderSpecs(model);
  const random = new Random(config.seed, 'autoencoder');
  const batches = new Batches(dataset, {
    batchSize: settings.batch_size,
    seed: config.seed,
    augment: config.augment,
  });
  const shown = spread(dataset.count, 16);
  const fingerprint = fingerprintOf(
    dataset.fingerprint,
    model,
    config.seed,
    settings.batch_size,
    config.augment,
  );
  const finished = options.newLength ? null : await finishedAutoencoder(dir);
  if (finished?.fingerprint === fingerprint) {
    // A state that turns out to be damaged is left to runStage, which falls back to an older one.
    const state = await loadState(finished.dir).catch(() => null);
    if (state) {
      const { params, ema } = state.arrays;
      return { ...finished, loss: Number.NaN, params, ema, interrupted: false };
    }
  }
  // Weights and scaling factor belong together: until both are new, there are none.
  await rm(join(dir, 'model'), { recursive: true, force: true });
  const result = await runStage(
    {
      name: 'autoencoder',
      dir,
      settings,
      specs,
      loss: autoencoderLoss(model, settings),
      init: () => initParams(specs, random.fork('init')),
      batch: autoencoderBatch(model, batches, random),
      fingerprint,
      publish: async (ema, step) => {
        const pictures = {
          data: floatPictures(dataset, shown),
          shape: [shown.length, config.size, config.size, 3],
          dtype: 'float32' as const,
        };
        const made = await reconstruct(model, ema, pictures, options);
        await writePng(samplePath(dir, step), await sideBySide(pictures.data, made, config.size));
      },
    },
    options,
  );
  if (result.interrupted) return result;
  options.onNote?.('measuring the latents');
  const { std } = await encodeDataset(model, result.ema, dataset, options, undefined, options.signal);
  const measured = { ...model, scaling_factor: Number((1 / std).toPrecision(6)) };
  await mkdir(join(dir, 'model'), { recursive: true });
  await saveParams(specs, result.ema, join(dir, 'model', WEIGHTS_NAME));
  await writeFileAtomic(
    join(dir, 'model', 'config.json'),
    formatJson({ _class_name: AUTOENCODER_CLASS_NAME, ...measured } as unknown as JsonObject),
  );
  return result;
}

/** Where the newest state of an autoencoder stands that is trained to its end and measured; else null. */
async function finishedAutoencoder(
  dir: string,
): Promise<{ step: number; steps: number; seconds: number; fingerprint: unknown; dir: string } | null> {
  const [newest] = await listStates(dir);
  const read = (path: string) => readJsonObject(path).catch(() => null);
  if (!newest || !(await read(join(dir, 'model', 'config.json')))) return null;
  const { counters } = ((await read(join(newest.dir, 'state.json'))) ?? {}) as { counters?: JsonObject };
  if (!counters) return null;
  const [step, steps] = [Number(counters.step), Number(counters.steps)];
  if (!(steps > 0 && step >= steps)) return null;
  return {
    step,
    steps,
    seconds: Number(counters.seconds),
    fingerprint: counters.fingerprint,
    dir: newest.dir,
  };
}

/** Evenly spread picture numbers. */
function spread(total: number, wanted: number): number[] {
  const n = Math.min(total, wanted);
  return Array.from({ length: n }, (_, i) => Math.floor((i * total) / n));
}

/** Originals above their reconstructions. */
async function sideBySide(originals: Float32Array, made: Float32Array, size: number) {
  const each = size * size * 3;
  const cut = (from: Float32Array, i: number) => ({
    data: from.slice(i * each, (i + 1) * each),
    width: size,
    height: size,
  });
  const n = originals.length / each;
  const half = Math.min(8, n);
  const rows: ReturnType<typeof cut>[] = [];
  for (let start = 0; start < n; start += half) {
    for (let i = start; i < Math.min(n, start + half); i++) rows.push(cut(originals, i));
    for (let i = start; i < Math.min(n, start + half); i++) rows.push(cut(made, i));
  }
  return contactSheet(rows, { columns: half });
}

/** The UNet's configuration for the data: its channels, size and classes. */
function unetFor(config: TrainConfig, vae: AutoencoderConfig | null, labels: number): UNet2DConfig {
  const channels = vae?.latent_channels ?? 3;
  const reduction = vae ? 2 ** (vae.block_out_channels.length - 1) : 1;
  return parseUNet2DConfig({
    ...config.diffusion.model,
    in_channels: channels,
    out_channels: channels,
    sample_size: config.size / reduction,
    // One more class than there are labels stands for "no label".
    num_class_embeds: labels > 0 ? labels + 1 : null,
  });
}

async function trainDiffusion(
  run: string,
  dataset: Dataset,
  config: TrainConfig,
  vae: TrainedAutoencoder | null,
  options: StageOptions,
  initFrom: string | null,
): Promise<StageResult> {
  const { diffusion: settings } = config;
  const labels = dataset.labels.length;
  if (labels > 0 && dataset.labelIds.some((id) => id < 0)) {
    options.onNote?.('pictures without a label are trained on as unlabelled ones');
  }
  const model = unetFor(config, vae?.config ?? null, labels);
  const specs = unet2dSpecs(model);
  const random = new Random(config.seed, 'diffusion');
  const nullLabel = labels > 0 ? labels : null;
  const noising = new Noising(settings, random, nullLabel);
  const side = model.sample_size as number;
  const shape = [settings.batch_size, side, side, model.in_channels];
  const fresh = initParams(specs, random.fork('init'));
  const started = (await listStates(run)).length > 0;
  const start = initFrom && !started ? await weightsFrom(initFrom, specs, fresh) : fresh;
  const clean = vae ? await latentBatches(vae, dataset, config, options) : pixelBatches(dataset, config);
  return runStage(
    {
      name: 'diffusion',
      dir: run,
      settings,
      specs,
      loss: diffusionLoss(model),
      init: () => start,
      batch: (step) => {
        const { samples, labelIds } = clean(step);
        const known = nullLabel === null ? null : labelIds.map((id) => (id < 0 ? nullLabel : id));
        return noising.batch({ samples, labels: known }, shape, step);
      },
      fingerprint: fingerprintOf(
        dataset.fingerprint,
        model,
        config.seed,
        settings.batch_size,
        config.augment,
        vae?.config ?? null,
      ),
      publish: async (ema, step) => {
        const dir = join(run, 'model');
        await writePipelineDir(
          dir,
          {
            unet: {
              className: UNET2D_CLASS_NAME,
              config: model as unknown as JsonObject,
              weights: { specs, params: ema },
            },
            scheduler: { className: schedulerClass(config), config: schedulerConfig(config) },
            ...(vae && {
              autoencoder: {
                className: AUTOENCODER_CLASS_NAME,
                config: vae.config as unknown as JsonObject,
                weights: { specs: autoencoderSpecs(vae.config), params: vae.params },
              },
            }),
            sumi: {
              version: 1,
              resolution: config.size,
              labels: [...dataset.labels],
              null_label: nullLabel,
              defaults: { ...config.sampling },
              recipe: { step, pictures: dataset.count, config: config as unknown as JsonObject },
            },
          },
          options.dtype,
        );
        await sampleSheet(dir, samplePath(run, step), dataset.labels, {
          engine: options.engine,
          threads: options.threads,
        });
      },
    },
    options,
  );
}

const schedulerClass = ({ sampling }: TrainConfig): string =>
  sampling.scheduler === 'ddpm' ? 'DDPMScheduler' : 'DDIMScheduler';

function schedulerConfig({ diffusion, autoencoder, sampling }: TrainConfig): JsonObject {
  const { num_train_timesteps, beta_start, beta_end, beta_schedule, prediction_type } = diffusion;
  return {
    num_train_timesteps,
    beta_start,
    beta_end,
    beta_schedule,
    prediction_type,
    // Pixels end at ±1; latents do not.
    clip_sample: autoencoder === null,
    timestep_spacing: 'trailing',
    ...(sampling.scheduler === 'ddpm' ? {} : { set_alpha_to_one: true, steps_offset: 0 }),
  };
}

interface CleanSamples {
  readonly samples: Float32Array;
  readonly labelIds: Int32Array;
}

function pixelBatches(dataset: Dataset, config: TrainConfig): (step: number) => CleanSamples {
  const batches = new Batches(dataset, {
    batchSize: config.diffusion.batch_size,
    seed: config.seed,
    augment: config.augment,
  });
  return (step) => {
    const { pixels, labelIds } = batches.batchAt(step - 1);
    return { samples: pixels, labelIds };
  };
}

/**
 * Latents are computed once: augmentation would have to be encoded anew each time, so only the mirrored pictures
 * are, as a second half of the data.
 */
async function latentBatches(
  vae: TrainedAutoencoder,
  dataset: Dataset,
  config: TrainConfig,
  options: StageOptions,
): Promise<(step: number) => CleanSamples> {
  const { shift, crop, colour } = config.augment;
  if (shift || crop || colour) {
    options.onNote?.('latents are made once: of the augmentations only flip serves the diffusion model');
  }
  options.onNote?.(`encoding ${dataset.count} pictures`);
  const encoded = async (data: Dataset) =>
    (await encodeDataset(vae.config, vae.params, data, options, undefined, options.signal)).latents;
  const parts = [await encoded(dataset)];
  if (config.augment.flip) parts.push(await encoded(mirrored(dataset)));
  const each = parts[0].length / dataset.count;
  for (const part of parts) for (let i = 0; i < part.length; i++) part[i] *= vae.config.scaling_factor;
  const order = new BatchOrder(dataset.count * parts.length, config.diffusion.batch_size, config.seed);
  return (step) => {
    const { indices } = order.at(step - 1);
    const samples = new Float32Array(indices.length * each);
    const labelIds = new Int32Array(indices.length);
    indices.forEach((index, k) => {
      const i = index % dataset.count;
      samples.set(parts[Math.floor(index / dataset.count)].subarray(i * each, (i + 1) * each), k * each);
      labelIds[k] = dataset.labelIds[i];
    });
    return { samples, labelIds };
  };
}

function mirrored(dataset: Dataset): Dataset {
  const { pixels, size } = dataset;
  const out = new Uint8Array(pixels.length);
  for (let row = 0; row < pixels.length / (size * 3); row++) {
    for (let x = 0; x < size; x++) {
      const from = (row * size + x) * 3;
      out.set(pixels.subarray(from, from + 3), (row * size + size - 1 - x) * 3);
    }
  }
  return { ...dataset, pixels: out };
}
