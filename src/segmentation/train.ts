/** `sumi segment train`: pictures and masks in, a segmentation model out. The loop is that of all trainings. */
import { join, resolve } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import { listStates } from '../checkpoint/state.js';
import { initParams } from '../engine/params.js';
import { InputError } from '../errors.js';
import { Random } from '../random.js';
import { lockRun } from '../training/lock.js';
import { fingerprintOf, type LoopOptions, runStage, type StageResult } from '../training/loop.js';
import { createRunDir, readRunConfig } from '../training/run-dir.js';
import { parseClassicUNetConfig } from '../unet/index.js';
import { type ClassTable, IGNORED, parseClasses, readClasses, tableAsJson } from './classes.js';
import { parseSegmentConfig, type SegmentConfig } from './config.js';
import { loadExamples, type SegmentData, splitByGroup } from './dataset.js';
import { type LintReport, lintPairs } from './lint.js';
import { segmentLoss } from './loss.js';
import { type Measurement, Validation } from './measuring.js';
import { findPairs, type Grouping, type Pairs } from './pairs.js';
import { Patches } from './patches.js';
import { publishModel } from './publish.js';
import { splitSpecs } from './statistics.js';

export interface SegmentTrainOptions extends LoopOptions {
  readonly images: string;
  /** Not needed where metadata.jsonl names the masks. */
  readonly masks?: string;
  /** File of class names and colours; without it the masks' colours are the classes. */
  readonly classes?: string;
  readonly group?: Grouping;
  /** Run directory, made new. */
  readonly out: string;
  readonly config: SegmentConfig;
  readonly dtype?: 'F32' | 'F16';
  readonly onRead?: (done: number, total: number) => void;
  readonly onLint?: (report: LintReport) => void;
  readonly onMeasure?: (measurement: Measurement, best: boolean) => void;
}

/** What may change when a run goes on. */
export interface SegmentResumeOptions
  extends Omit<
    SegmentTrainOptions,
    'images' | 'masks' | 'classes' | 'group' | 'out' | 'config' | 'newLength'
  > {
  readonly run: string;
  /** New number of steps. */
  readonly steps?: number;
  readonly learningRate?: number;
  /** Measurements without a better one after which it stops; 0: never. */
  readonly patience?: number;
  /** Where the pictures and masks lie now, if they moved. */
  readonly images?: string;
  readonly masks?: string;
}

export interface SegmentTrainResult {
  readonly run: string;
  readonly model: string;
  readonly pictures: { readonly train: number; readonly validation: number };
  readonly stage: Pick<StageResult, 'step' | 'steps' | 'loss' | 'seconds'>;
  /** Of the model; null when nothing is held back. */
  readonly best: Measurement | null;
  /** It stopped because the model did not become better any more. */
  readonly stoppedEarly: boolean;
  readonly interrupted: boolean;
}

/**
 * Reads and checks masks: what `trainSegmenter` does first.
 * @throws InputError when a folder is no good, or no mask can be used
 */
export async function checkMasks(
  options: Pick<SegmentTrainOptions, 'images' | 'masks' | 'classes' | 'group' | 'onRead' | 'signal'>,
): Promise<{ report: LintReport; pairs: Pairs }> {
  const { images, masks, classes, group, signal } = options;
  const table = classes === undefined ? null : await readClasses(classes);
  const pairs = await findPairs(images, masks, group);
  const where = masks ?? images;
  return { report: await lintPairs(pairs, table, { where, onProgress: options.onRead, signal }), pairs };
}

/**
 * Trains a classic U-Net on pictures with masks.
 * @throws InputError when the folders, the masks, the settings or `out` are no good
 * @throws RunError when training diverges or a file cannot be written
 */
export async function trainSegmenter(options: SegmentTrainOptions): Promise<SegmentTrainResult> {
  const { images, masks, config, onLint } = options;
  const run = resolve(options.out);
  const { report, pairs } = await checkMasks(options);
  onLint?.(report);
  const errors = report.findings.filter(({ level }) => level === 'error');
  if (errors.length > 0) {
    const [{ what, files, todo }] = errors;
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more findings: --check lists them)` : '';
    throw new InputError(`${what}${more} — ${files[0] ?? masks ?? images} — ${todo}`);
  }
  const data = await read(pairs, report.table, config, options);
  weightsOf(config, data); // found wrong before anything is written
  splitByGroup(data.examples, config.validation, config.seed);
  const unlock = await createRunDir(run, {
    task: 'segmentation',
    images: resolve(images),
    masks: masks === undefined ? null : resolve(masks),
    group: options.group ?? 'none',
    classes: tableAsJson(report.table) as unknown as JsonObject,
    fingerprint: data.fingerprint,
    minutes: options.minutes ?? null,
    config: config as unknown as JsonObject,
  });
  try {
    return await runTraining(run, data, config, options);
  } finally {
    await unlock();
  }
}

/**
 * Goes on with a run from its newest sound state, bit for bit as if it had not stopped.
 * @throws InputError when the run or its data cannot be used
 */
export async function resumeSegmenter(options: SegmentResumeOptions): Promise<SegmentTrainResult> {
  const run = resolve(options.run);
  const saved = await readRunConfig(run);
  const where = join(run, 'config.json');
  if (saved.task !== 'segmentation' || typeof saved.images !== 'string') {
    throw new InputError(
      `not a run of sumi segment train — ${run} — name the folder that was given as --out`,
    );
  }
  const parsed = parseSegmentConfig(saved.config, where);
  const config = parseSegmentConfig(
    {
      ...parsed,
      steps: options.steps ?? parsed.steps,
      learning_rate: options.learningRate ?? parsed.learning_rate,
      patience: options.patience ?? parsed.patience,
    },
    'sumi segment train --resume',
  );
  const table = await parseClasses(saved.classes, where);
  const masks = options.masks ?? (saved.masks as string | null) ?? undefined;
  const pairs = await findPairs(options.images ?? saved.images, masks, saved.group as Grouping);
  const data = await read(pairs, table, config, options);
  if (data.fingerprint !== saved.fingerprint) {
    throw new InputError(
      `the pictures or masks are not those that the run began with — ${options.images ?? saved.images} — restore them, or start a new run`,
    );
  }
  const newLength = options.steps !== undefined || options.minutes !== undefined;
  const minutes = newLength ? options.minutes : ((saved.minutes as number | null | undefined) ?? undefined);
  const unlock = await lockRun(run);
  try {
    return await runTraining(run, data, config, { ...options, minutes, newLength });
  } finally {
    await unlock();
  }
}

function read(
  { pairs }: Pairs,
  table: ClassTable,
  config: SegmentConfig,
  { onRead, signal }: Pick<SegmentTrainOptions, 'onRead' | 'signal'>,
): Promise<SegmentData> {
  return loadExamples(pairs, table, { resize: config.resize, onProgress: onRead, signal });
}

/**
 * Weight of each class in the cross-entropy.
 * @throws InputError when their number is not that of the classes
 */
function weightsOf({ class_weights: given }: SegmentConfig, { examples, table }: SegmentData): number[] {
  const n = table.classes.length;
  if (Array.isArray(given)) {
    if (given.length === n && given.some((weight) => weight > 0)) return given;
    throw new InputError(
      `${given.length} class weights for ${n} classes — --class-weights — give one for each of ${table.classes.map(({ name }) => name).join(', ')}`,
    );
  }
  if (given === 'none') return new Array<number>(n).fill(1);
  const counts = new Array<number>(n).fill(0);
  for (const { labels } of examples) for (const label of labels) if (label !== IGNORED) counts[label]++;
  const present = counts.filter((count) => count > 0).sort((a, b) => a - b);
  const median = present[Math.floor(present.length / 2)];
  return counts.map((count) => (count > 0 ? median / count : 0));
}

async function runTraining(
  run: string,
  data: SegmentData,
  config: SegmentConfig,
  options: SegmentTrainOptions | (SegmentResumeOptions & LoopOptions),
): Promise<SegmentTrainResult> {
  const { table } = data;
  const network = parseClassicUNetConfig({ ...config.model, n_classes: table.classes.length });
  const { trained } = splitSpecs(network);
  const { train, validation: held } = splitByGroup(data.examples, config.validation, config.seed);
  const patches = new Patches(train, table.classes.length, {
    size: config.patch,
    batchSize: config.batch_size,
    seed: config.seed,
    focus: config.focus,
    augment: config.augment,
  });
  const [newest] = await listStates(run);
  const validation = await Validation.open(run, newest?.step ?? 0);
  const enough = new AbortController();
  const exhausted = () => config.patience > 0 && validation.sinceBest >= config.patience;
  if (exhausted()) enough.abort();

  const published = { run, network, config, table, patches, train, held, validation };
  const publish = async (ema: Float32Array, step: number) => {
    await publishModel(published, ema, step, options);
    if (!exhausted()) return {};
    options.onNote?.(
      `no better for ${config.patience} measurements: the best was at step ${validation.best?.step}`,
    );
    enough.abort();
    return {};
  };
  const signal = AbortSignal.any([enough.signal, ...(options.signal ? [options.signal] : [])]);
  const { steps, learning_rate, lr_warmup_steps, lr_scheduler, checkpoint_every, patience, ...identity } =
    config;
  const result = await runStage(
    {
      name: 'segmentation',
      dir: run,
      settings: config,
      specs: trained,
      loss: segmentLoss(network, { ...config.loss, weights: weightsOf(config, data) }),
      init: () => initParams(trained, new Random(config.seed, 'segmentation', 'init')),
      batch: (step) => patches.feeds(step),
      fingerprint: fingerprintOf(data.fingerprint, network, identity),
      publish,
    },
    { ...options, signal },
  );
  const { step, loss, seconds } = result;
  const stoppedEarly = enough.signal.aborted;
  return {
    run,
    model: join(run, 'model'),
    pictures: { train: train.length, validation: held.length },
    stage: { step, steps: result.steps, loss, seconds },
    best: validation.best,
    stoppedEarly,
    interrupted: result.interrupted && !stoppedEarly,
  };
}
