/** `train`: a folder of pictures in, a diffusers pipeline directory out. */
import { realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { type AutoencoderNetwork, klNetwork, parseAutoencoderConfig } from '../autoencoder/index.js';
import type { JsonObject } from '../checkpoint/json.js';
import { readPipelineDir } from '../checkpoint/pipeline.js';
import { Batches, type Dataset, openDataset } from '../data/index.js';
import { makeBetas } from '../diffusion/index.js';
import { type Engine, isCompiled, useEagerBackend } from '../engine/engines.js';
import { countParams } from '../engine/params.js';
import { InputError } from '../errors.js';
import { requireEnough } from '../metrics/evaluate.js';
import { findModel } from '../pipelines/index.js';
import { requireAccumulation } from './accumulate.js';
import {
  finishedAutoencoder,
  readAutoencoder,
  readOwnAutoencoder,
  startOf,
  type TrainedAutoencoder,
  trainAutoencoder,
} from './autoencoder-stage.js';
import { textModelOf } from './captions.js';
import { AUTOENCODER_SHARE, parseTrainConfig, type TrainConfig } from './config.js';
import { trainDecoder } from './decoder-stage.js';
import { denoiserFor, pictureUnit } from './denoiser.js';
import { trainDiffusion } from './diffusion-stage.js';
import { isDistillation, resumeDistillation } from './distill.js';
import { weightsFrom } from './init.js';
import { lockRun } from './lock.js';
import type { LoopOptions, StageOptions, StageResult } from './loop.js';
import { qualityMeasure } from './quality.js';
import { isRefinement, resumeRefinement } from './refine.js';
import { createRunDir, readRunConfig } from './run-dir.js';

export type StageName = 'autoencoder' | 'decoder' | 'diffusion' | 'all';

/** Whether a stage trains an autoencoder, or half of one, and no UNet. */
export const isOfAutoencoder = (stage: StageName): stage is 'autoencoder' | 'decoder' =>
  stage === 'autoencoder' || stage === 'decoder';

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
  /** Steps between measurements of the model's quality, a multiple of `checkpoint_every`; default: none are made. */
  readonly evalEvery?: number;
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
  if (stage === 'decoder' && !options.initFrom) {
    throw new InputError(
      'a decoder is trained for the latents of a model that is there — --stage decoder — name the model by --init',
    );
  }
  if (isOfAutoencoder(stage) && !config.autoencoder) {
    const instead = options.initFrom ? 'name a latent model by --init' : 'use --preset small or base';
    throw new InputError(`this configuration has no autoencoder — --stage ${stage} — ${instead}`);
  }
  if (options.autoencoderFrom && isOfAutoencoder(stage)) {
    throw new InputError(
      'an autoencoder that is ready is not trained — --autoencoder — leave it out; --init trains that of a model further',
    );
  }
  if (options.autoencoderFrom && !config.autoencoder && !options.initFrom) {
    throw new InputError(
      'this configuration works on pixels — --autoencoder — leave it out, or use --preset small or base',
    );
  }
  if (stage === 'diffusion' && config.autoencoder && !options.autoencoderFrom && !options.initFrom) {
    throw new InputError(
      'the autoencoder comes first — --stage diffusion — leave --stage out, or name a checkpoint by --autoencoder',
    );
  }
  requireAtCheckpoints(options.evalEvery, stage, config);
  for (const settings of [config.autoencoder, config.diffusion])
    if (settings) requireAccumulation(options.engine, settings);
  const run = resolve(options.out);
  if (isInside(run, await realpath(options.data).catch(() => resolve(options.data)))) {
    throw new InputError(
      `the run would lie among its own pictures — ${run} — name an --out outside ${options.data}`,
    );
  }
  if (!isCompiled(options.engine ?? 'onnx')) await useEagerBackend(options.engine as Engine);
  const initFrom = options.initFrom === undefined ? null : resolve(await findModel(options.initFrom));
  const initCodes = initFrom !== null && (await readPipelineDir(initFrom)).autoencoder !== null;
  const own = isOfAutoencoder(stage) || !(config.autoencoder || initCodes) ? null : initFrom;
  const given = options.autoencoderFrom ?? own;
  const autoencoderFrom = given ? resolve(given) : null;
  const dataset = await readData(options, config, autoencoderFrom);
  await rehearse(dataset, config, stage, autoencoderFrom, initFrom);
  if (options.evalEvery) requireEnough({ from: options.data, count: dataset.count });
  const unlock = await createRunDir(run, {
    data: resolve(options.data),
    stage,
    fingerprint: dataset.fingerprint,
    labels: [...dataset.labels],
    autoencoder_from: autoencoderFrom,
    init_from: initFrom,
    minutes: options.minutes ?? null,
    eval_every: options.evalEvery ?? null,
    config: config as unknown as JsonObject,
  });
  try {
    return await runStages(run, dataset, config, stage, options, { autoencoderFrom, initFrom });
  } finally {
    await unlock();
  }
}

/** @throws InputError for measurements where no model is published */
function requireAtCheckpoints(
  every: number | undefined,
  stage: StageName,
  { diffusion: { checkpoint_every: apart } }: TrainConfig,
): void {
  if (every === undefined) return;
  if (isOfAutoencoder(stage)) {
    throw new InputError(
      'an autoencoder alone draws nothing that could be measured — --eval-every — leave it out',
    );
  }
  if (every % apart !== 0) {
    throw new InputError(
      `${every} steps are no multiple of the ${apart} between checkpoints — --eval-every — give ${Math.ceil(every / apart) * apart}, or another --checkpoint-every`,
    );
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
  stage: StageName,
  autoencoderFrom: string | null,
  initFrom: string | null,
): Promise<void> {
  const { diffusion, augment, seed } = config;
  new Batches(dataset, { batchSize: diffusion.batch_size, seed, augment });
  makeBetas(diffusion);
  const coder = await autoencoderOf(config, autoencoderFrom);
  const network = denoiserFor(config, coder, dataset.labels.length);
  const { specs, textChannels } = network;
  if (isOfAutoencoder(stage)) {
    if (initFrom && coder)
      await startOf(initFrom, coder, new Float32Array(countParams(coder.specs)), config.size);
    return;
  }
  const start = initFrom === null ? null : await readPipelineDir(initFrom);
  if (start) await weightsFrom(start, network, new Float32Array(countParams(specs)));
  if (textChannels !== null) await textModelOf(start, textChannels);
}

/**
 * Goes on with a run from its newest sound training state, bit for bit as if it had not stopped.
 * @throws InputError when the run or its data cannot be used
 */
export async function resumeTraining(options: ResumeOptions): Promise<TrainResult> {
  const run = resolve(options.run);
  const saved = await readRunConfig(run);
  if (isRefinement(saved)) return resumeRefinement(run, saved, options);
  if (isDistillation(saved)) return resumeDistillation(run, saved, options);
  if (typeof saved.data !== 'string' || typeof saved.config !== 'object') {
    throw new InputError(`not a training run — ${run} — name the folder that was given as --out`);
  }
  const stage = options.stage ?? (saved.stage as StageName);
  const parsed = parseTrainConfig(saved.config, join(run, 'config.json'));
  const config = override(parsed, stage, options.steps, options.learningRate);
  const evalEvery = options.evalEvery ?? (saved.eval_every as number | null | undefined) ?? undefined;
  requireAtCheckpoints(options.evalEvery, stage, config);
  const from = {
    autoencoderFrom: (saved.autoencoder_from as string | null | undefined) ?? null,
    initFrom: (saved.init_from as string | null | undefined) ?? null,
  };
  const data = options.data ?? saved.data;
  const dataset = await readData({ ...options, data }, config, from.autoencoderFrom);
  if (dataset.fingerprint !== saved.fingerprint) {
    throw new InputError(
      `the pictures are not those that the run began with — ${data} — restore them, or start a new run`,
    );
  }
  const newLength = options.steps !== undefined || options.minutes !== undefined;
  const minutes = newLength ? options.minutes : ((saved.minutes as number | null | undefined) ?? undefined);
  const unlock = await lockRun(run);
  try {
    return await runStages(run, dataset, config, stage, { ...options, minutes, newLength, evalEvery }, from);
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
  accumulate?: number,
): TrainConfig {
  const change = {
    ...(steps === undefined ? {} : { steps }),
    ...(rate === undefined ? {} : { learning_rate: rate }),
    ...(batch === undefined ? {} : { batch_size: batch }),
    ...(accumulate === undefined ? {} : { gradient_accumulation_steps: accumulate }),
  };
  if (isOfAutoencoder(stage) && config.autoencoder) {
    return { ...config, autoencoder: { ...config.autoencoder, ...change } };
  }
  return { ...config, diffusion: { ...config.diffusion, ...change } };
}

/** The autoencoder of a run, of a checkpoint or to be trained; null where it works on pixels. */
async function autoencoderOf(
  { autoencoder, size }: TrainConfig,
  from: string | null,
): Promise<AutoencoderNetwork | null> {
  if (from) return (await readAutoencoder(from, size)).network;
  return autoencoder && klNetwork(parseAutoencoderConfig({ ...autoencoder.model, sample_size: size }));
}

/** The pictures of a run. @param autoencoderFrom the checkpoint whose autoencoder it uses, if it trains none */
export async function readData(
  options: Pick<TrainOptions, 'data' | 'cache' | 'onRead' | 'signal'>,
  config: TrainConfig,
  autoencoderFrom: string | null,
): Promise<Dataset> {
  const { size, background, fit, strict } = config;
  // Squares need no look at the autoencoder, whose weights may be large.
  const bucketUnit = config.aspect_ratio_buckets
    ? pictureUnit(config, await autoencoderOf(config, autoencoderFrom))
    : undefined;
  return openDataset(options.data, {
    size,
    background,
    fit,
    bucketUnit,
    strict,
    cache: options.cache,
    onProgress: options.onRead,
    signal: options.signal,
  });
}

async function runStages(
  run: string,
  dataset: Dataset,
  config: TrainConfig,
  stage: StageName,
  options: StageOptions & { readonly evalEvery?: number },
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
  if (stage === 'decoder') {
    stages.push({
      ...(await trainDecoder(run, dataset, config, options, initFrom as string)),
      name: 'decoder',
    });
    return finish(join(run, 'model'));
  }
  let vae: TrainedAutoencoder | null = null;
  if (autoencoderFrom) vae = await readAutoencoder(autoencoderFrom, config.size);
  else if (config.autoencoder) {
    const own = join(run, 'autoencoder');
    const ready = stage === 'diffusion' || (await finishedAutoencoder(own));
    const split = options.minutes && stage === 'all' && !ready;
    if (stage === 'diffusion') vae = await readOwnAutoencoder(own, config.size);
    else {
      const minutes = split ? (options.minutes as number) * AUTOENCODER_SHARE : options.minutes;
      // A new number of steps is meant for the last stage.
      const newLength = options.newLength && (stage === 'autoencoder' || (minutes !== undefined && !ready));
      const settings = { ...options, minutes, newLength };
      const from = stage === 'autoencoder' ? initFrom : null;
      const result = await trainAutoencoder(own, dataset, config, config.autoencoder, settings, from);
      stages.push({ ...result, name: 'autoencoder' });
      if (result.interrupted || stage === 'autoencoder') return finish(null);
      vae = await readOwnAutoencoder(own, config.size);
    }
    if (split) options = { ...options, minutes: (options.minutes as number) * (1 - AUTOENCODER_SHARE) };
  }
  const { evalEvery } = options;
  const measure = evalEvery ? qualityMeasure(dataset, join(run, 'model'), evalEvery, options) : undefined;
  const result = await trainDiffusion(run, dataset, config, vae, { ...options, measure }, initFrom);
  stages.push({ ...result, name: 'diffusion' });
  return finish(join(run, 'model'));
}
