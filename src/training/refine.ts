/** `trainRefinerOf`: a model and larger pictures in, the model with a refiner out. */
import { join, resolve } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import { readPipelineDir } from '../checkpoint/pipeline.js';
import { type Dataset, openDataset } from '../data/index.js';
import { InputError } from '../errors.js';
import { DiffusionPipeline } from '../pipelines/index.js';
import { openRefiner, type RefinerNetwork } from '../refiner/index.js';
import { UNET2D_CLASS_NAME } from '../unet/index.js';
import { requireAccumulation } from './accumulate.js';
import { lockRun } from './lock.js';
import type { StageOptions } from './loop.js';
import { parseRefineConfig, type RefineConfig } from './refine-config.js';
import { Pairs, redrawn } from './refine-data.js';
import { trainRefiner } from './refine-stage.js';
import { createRunDir } from './run-dir.js';
import type { ResumeOptions, TrainOptions, TrainResult } from './train.js';

export interface RefineOptions extends StageOptions, Pick<TrainOptions, 'data' | 'out' | 'cache' | 'onRead'> {
  /** The model whose pictures are to be refined, by folder or name. */
  readonly model: string;
  readonly config: RefineConfig;
  /** Told of each picture that the model has redrawn. */
  readonly onRedraw?: (done: number, total: number) => void;
}

/**
 * Trains a refiner for a model on a folder of pictures of at least `scale` times its size.
 * @throws InputError when the model, the folder, the configuration or `out` is no good
 * @throws RunError when training diverges or a file cannot be written
 */
export async function trainRefinerOf(options: RefineOptions): Promise<TrainResult> {
  const { config } = options;
  requireAccumulation(options.engine, config);
  const run = resolve(options.out);
  const opened = await open(options);
  try {
    const unlock = await createRunDir(run, {
      refines: resolve(opened.pipeline.model.dir),
      data: resolve(options.data),
      fingerprint: opened.large.fingerprint,
      minutes: options.minutes ?? null,
      config: config as unknown as JsonObject,
    });
    try {
      return await runRefiner(run, opened, config, options);
    } finally {
      await unlock();
    }
  } finally {
    await opened.pipeline.dispose();
  }
}

/** Whether a run's config.json is that of a refiner's training. */
export const isRefinement = (saved: JsonObject): boolean => typeof saved.refines === 'string';

/**
 * Goes on with a refiner's training, bit for bit as if it had not stopped.
 * @param saved the run's config.json
 * @throws InputError when the run, its model or its data cannot be used
 */
export async function resumeRefinement(
  run: string,
  saved: JsonObject,
  options: ResumeOptions,
): Promise<TrainResult> {
  const parsed = parseRefineConfig(saved.config, join(run, 'config.json'));
  const { steps = parsed.steps, learningRate = parsed.learning_rate } = options;
  const config = { ...parsed, steps, learning_rate: learningRate };
  const data = options.data ?? String(saved.data);
  const opened = await open({ ...options, model: String(saved.refines), data, config });
  try {
    if (opened.large.fingerprint !== saved.fingerprint) {
      throw new InputError(
        `the pictures are not those that the run began with — ${data} — restore them, or start a new run`,
      );
    }
    const newLength = options.steps !== undefined || options.minutes !== undefined;
    const minutes = newLength ? options.minutes : ((saved.minutes as number | null | undefined) ?? undefined);
    const unlock = await lockRun(run);
    try {
      return await runRefiner(run, opened, config, { ...options, minutes, newLength });
    } finally {
      await unlock();
    }
  } finally {
    await opened.pipeline.dispose();
  }
}

interface Opened {
  readonly pipeline: DiffusionPipeline;
  readonly network: RefinerNetwork;
  /** The pictures at the model's size, and at that of refined ones. */
  readonly small: Dataset;
  readonly large: Dataset;
}

type OpenOptions = Pick<
  RefineOptions,
  'model' | 'data' | 'cache' | 'onRead' | 'config' | 'engine' | 'threads' | 'signal'
>;

/** @throws InputError for a model that cannot be refined, or pictures that cannot be read */
async function open({
  model,
  data,
  cache,
  onRead,
  config,
  engine,
  threads,
  signal,
}: OpenOptions): Promise<Opened> {
  const pipeline = await DiffusionPipeline.fromPretrained(model, { engine, threads }).catch(
    (error: unknown) => {
      if (error instanceof InputError)
        throw new InputError(error.message.replace('— --model —', '— --refine —'));
      throw error;
    },
  );
  try {
    const [side, width] = pipeline.pictureSize;
    if (side !== width)
      throw new InputError(
        `pictures of ${side}×${width} are not square — --refine ${model} — use a model of square ones`,
      );
    const size = side * config.scale;
    const unit = pipeline.codec.reduction * pipeline.model.network.unit;
    const shape = { in_channels: 3, out_channels: 3 * config.scale ** 2, sample_size: side };
    const network = openRefiner(
      UNET2D_CLASS_NAME,
      { ...config.model, ...shape },
      unit,
      'the refiner’s model',
    );
    const { background, fit } = config;
    const read = (of: number) =>
      openDataset(data, { size: of, background, fit, cache, onProgress: onRead, signal });
    const [large, small] = [await read(size), await read(side)];
    return { pipeline, network, small, large };
  } catch (error) {
    await pipeline.dispose();
    throw error;
  }
}

async function runRefiner(
  run: string,
  { pipeline, network, small, large }: Opened,
  config: RefineConfig,
  options: StageOptions & Pick<RefineOptions, 'onRedraw'>,
): Promise<TrainResult> {
  const { signal, onRedraw, onNote } = options;
  onNote?.(`the model redraws ${small.count} pictures`);
  const inputs = await redrawn(small, pipeline, config, join(run, 'redrawn.bin'), {
    signal,
    onDone: onRedraw,
  });
  const pairs = new Pairs(large, inputs, small.size, config);
  const base = await readPipelineDir(pipeline.model.dir);
  const result = await trainRefiner(run, base, network, pairs, large.fingerprint, config, options);
  return {
    run,
    model: join(run, 'model'),
    stages: [{ ...result, name: 'refiner' }],
    pictures: large.count,
    skipped: large.skipped.length,
    labels: pipeline.labels,
    interrupted: result.interrupted,
  };
}
