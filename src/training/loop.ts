/** The training loop, the same for every stage: steps, metrics, states, samples, and stopping well. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../checkpoint/json.js';
import {
  keepNewestStates,
  latestState,
  saveState,
  stateDir,
  type TrainingState,
} from '../checkpoint/state.js';
import type { Engine } from '../engine/engines.js';
import type { ParamSpec } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { InputError, RunError } from '../errors.js';
import { type BatchSettings, picturesAStep, requireAccumulation } from './accumulate.js';
import { Alarm } from './alarm.js';
import { Averages } from './averages.js';
import { emaDecay, learningRate, type RateOptions } from './rates.js';
import { type Metrics, MetricsLog, makeFolders } from './run-dir.js';
import {
  freshVectors,
  type LossFunction,
  type OptimizerOptions,
  savedVectors,
  TrainStep,
  type TrainVectors,
} from './step.js';

export interface StageSettings extends RateOptions, BatchSettings {
  readonly steps: number;
  readonly checkpoint_every: number;
  readonly ema_decay: number;
  readonly ema_widths?: readonly number[];
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_epsilon: number;
  readonly adam_weight_decay: number;
  readonly max_grad_norm: number;
}

/** What a stage's function takes: the loop's options, what the published weights are stored as, what measures them. */
export type StageOptions = LoopOptions & { readonly dtype?: 'F32' | 'F16'; readonly measure?: Measure };

/** Identifies what a state was trained on and as. */
export const fingerprintOf = (...parts: unknown[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** What a stage trains and on what. */
export interface Stage {
  readonly name: string;
  /** Run directory of the stage. */
  readonly dir: string;
  readonly settings: StageSettings;
  readonly specs: readonly ParamSpec[];
  /** How many pictures it is trained on, where it is told what to expect of a run by minutes. */
  readonly pictures?: number;
  readonly loss: LossFunction;
  /** Starting values of all parameters; asked for only when there is no state to go on from. */
  readonly init: () => Float32Array | Promise<Float32Array>;
  /**
   * Inputs of a step, of all its pictures, which are their first dimension: a pure function of the step (from 1), which is
   * what makes resuming exact.
   */
  readonly batch: (step: number) => Record<string, Feed> | Promise<Record<string, Feed>>;
  /** Identifies data and settings: a state of another run is refused. */
  readonly fingerprint: string;
  /**
   * Writes the model of the averaged weights and a sheet of samples.
   * @returns what a line of metrics.jsonl is to say of it; nothing in it: none
   */
  readonly publish: (ema: Float32Array, step: number) => Promise<JsonObject>;
  readonly measure?: Measure;
}

/** A measurement of what was published, for a line of metrics.jsonl. */
export interface Measure {
  /** Steps between measurements; they are made where there is a checkpoint, and at the end. */
  readonly every: number;
  readonly run: (step: number) => Promise<JsonObject>;
}

export interface StepReport {
  readonly stage: string;
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly picturesPerSecond: number;
}

export interface LoopOptions {
  readonly engine?: Engine;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Trains for about so many minutes instead of `settings.steps`: the pace of the first steps sets their number. */
  readonly minutes?: number;
  /** What `minutes` are counted by, in seconds; default what a clock on the wall shows. */
  readonly clock?: () => number;
  /** Going on, `minutes` or `settings.steps` replace the length that the training began with. */
  readonly newLength?: boolean;
  readonly onStep?: (report: StepReport) => void;
  readonly onNote?: (line: string) => void;
  readonly keepStates?: number;
}

export interface StageResult {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly seconds: number;
  readonly params: Float32Array;
  readonly ema: Float32Array;
  readonly interrupted: boolean;
}

/** Steps whose pace sets the length of a run by minutes, after the first one, which also builds the graph. */
const CALIBRATION = 5;

/** Mean loss of the last steps: one step's says little. */
export function recentLoss(losses: readonly { readonly loss: number }[], last = 50): number {
  const recent = losses.slice(-last);
  return recent.reduce((sum, m) => sum + m.loss, 0) / Math.max(1, recent.length);
}

/** How often training that diverges goes back, each time at half the learning rate, before it gives up. */
const GOES_BACK = 3;

/** Where a stage's training goes on, or begins. @throws InputError as `runStage` */
async function begin(
  stage: Stage,
  onNote: LoopOptions['onNote'],
): Promise<{ vectors: TrainVectors; averages: Averages; counters?: TrainingState['counters'] }> {
  const { dir, settings } = stage;
  const found = await latestState(stage.dir);
  for (const { dir: bad, reason } of found?.skipped ?? []) onNote?.(`skipped ${bad}: ${reason}`);
  const averagesOf = (length: number, step: number, arrays?: Record<string, Float32Array>) =>
    Averages.open(dir, settings.ema_widths ?? [], length, step, arrays);
  if (!found) {
    const start = await stage.init();
    return { vectors: freshVectors(start), averages: averagesOf(start.length, 0) };
  }
  const { arrays, counters } = found.state;
  if (counters.fingerprint !== stage.fingerprint) {
    throw new InputError(
      `the ${stage.name}'s state was trained on other data or as another model — ${found.dir} — restore the data, or start a new run`,
    );
  }
  const vectors = savedVectors(arrays as unknown as TrainVectors);
  return { vectors, averages: averagesOf(vectors.params.length, found.step, arrays), counters };
}

/**
 * Trains a stage to its end, from its newest sound state if there is one.
 * @returns copies of the last weights and their average
 * @throws RunError when the loss or the weights are not numbers any more, the learning rate halved three times (no state
 *   is saved then: the newest on disk is sound), memory runs out, or a file cannot be written
 * @throws InputError when the state on disk belongs to other data or another model, or the engine adds up no gradients
 */
export async function runStage(stage: Stage, options: LoopOptions = {}): Promise<StageResult> {
  const { settings, dir } = stage;
  requireAccumulation(options.engine, settings);
  await makeFolders(dir);
  const found = await begin(stage, options.onNote);
  const { counters } = found;
  let { averages } = found;
  let step = Number(counters?.step ?? 0);
  let seconds = Number(counters?.seconds ?? 0);
  let rateScale = Number(counters?.rate_scale ?? 1);
  // A state that was saved before a run by minutes knew its pace holds no number of steps.
  const begun = options.newLength ? 0 : Number(counters?.steps ?? 0);
  const budget = begun === 0 && options.minutes ? options.minutes * 60 : undefined;
  let steps = begun || settings.steps;
  const calibrated = step + CALIBRATION + 1;
  const optimizer: OptimizerOptions = {
    beta1: settings.adam_beta1,
    beta2: settings.adam_beta2,
    epsilon: settings.adam_epsilon,
    weightDecay: settings.adam_weight_decay,
    maxGradNorm: settings.max_grad_norm,
  };
  const log = await MetricsLog.open(dir, step);
  const { engine, threads, onNote } = options;
  const alarm = new Alarm(onNote);
  const trainerOf = (start: TrainVectors): TrainStep =>
    new TrainStep(stage.specs, stage.loss, start, optimizer, {
      engine,
      threads,
      onBuild: () => onNote?.(`building the ${stage.name}'s training graph`),
    });
  let trainer = trainerOf(found.vectors);
  let savedAt = counters ? step : -1;
  let paceKnown = budget === undefined;
  // The weights that led here are not saved: going on from them would lead here again.
  const diverged = async (what: string, at: number): Promise<void> => {
    await log.flush();
    await log.drawLoss();
    if (rateScale <= 2 ** -GOES_BACK) throw new RunError(diagnosis(stage, what, at, savedAt, log.entries));
    const last = await begin(stage, onNote);
    await trainer.dispose();
    trainer = trainerOf(last.vectors);
    averages = last.averages;
    step = Number(last.counters?.step ?? 0);
    savedAt = last.counters ? step : -1;
    rateScale /= 2;
    await log.rewind(step);
    onNote?.(
      `the ${stage.name}'s ${what} at step ${at}: back to step ${step}, learning rate times ${rateScale}`,
    );
  };
  /** @returns whether there was something to save: weights that are numbers */
  const save = async (): Promise<boolean> => {
    if (savedAt === step) return true;
    const vectors = await trainer.read();
    if (!vectors.params.every(Number.isFinite)) {
      await diverged('weights are not numbers', step);
      return false;
    }
    await log.flush();
    await saveState(stateDir(dir, step), {
      arrays: { ...vectors, ...averages.arrays },
      counters: {
        step,
        steps: paceKnown ? steps : 0,
        seconds,
        fingerprint: stage.fingerprint,
        ...(rateScale < 1 && { rate_scale: rateScale }),
      },
    });
    savedAt = step;
    await averages.store(settings.checkpoint_every);
    await keepNewestStates(dir, options.keepStates ?? 2);
    return true;
  };
  const done = () => paceKnown && step >= steps;
  const publish = async () => {
    const told = await stage.publish((await trainer.read()).ema, step);
    if (Object.keys(told).length > 0) await log.measured({ step, ...told });
    await log.drawLoss();
    alarm.look(log.measurements);
    if (!stage.measure || !(done() || step % stage.measure.every === 0) || options.signal?.aborted) return;
    try {
      await log.measured({ step, ...(await stage.measure.run(step)) });
      alarm.look(log.measurements);
    } catch (error) {
      // The model is published; who stops now wants no figure.
      if (!options.signal?.aborted) throw error;
    }
  };
  const clock = options.clock ?? (() => performance.now() / 1000);
  const opened = clock();
  const firstStep = step + 1;
  let calibratedFrom = opened;
  try {
    const advance = async (): Promise<void> => {
      const started = performance.now();
      const next = step + 1;
      // Until the pace is known, a run by minutes is in its warm-up anyway.
      const rate = learningRate(next, steps, settings) * rateScale;
      const result = await trainer
        .run(
          await stage.batch(next),
          next,
          rate,
          emaDecay(next, settings.ema_decay),
          settings.gradient_accumulation_steps,
        )
        .catch((error: unknown) => {
          throw outOfMemory(error, stage) ?? error;
        });
      if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradNorm)) {
        return diverged(`${Number.isFinite(result.loss) ? 'gradient' : 'loss'} is not a number`, next);
      }
      step = next;
      await averages.follow(step, async () => (await trainer.read()).params);
      const took = (performance.now() - started) / 1000;
      seconds += took;
      const picturesPerSecond = picturesAStep(settings) / took;
      log.add({
        step,
        loss: result.loss,
        gradNorm: result.gradNorm,
        learningRate: rate,
        seconds: round(seconds),
        ...finite(result.metrics),
      });
      if (step === firstStep) calibratedFrom = clock();
      if (budget !== undefined && !paceKnown && step === calibrated) {
        const pace = (clock() - calibratedFrom) / CALIBRATION;
        const spent = clock() - opened;
        // A twentieth is left for samples and states.
        steps = step + Math.max(1, Math.floor((budget * 0.95 - spent) / pace));
        paceKnown = true;
        onNote?.(
          `${stage.name}: ${pace.toFixed(2)} s a step, so ${steps} steps in ${Number(options.minutes?.toPrecision(3))} minutes${expectation(stage, steps)}`,
        );
      }
      options.onStep?.({
        stage: stage.name,
        step,
        steps,
        loss: recentLoss(log.entries, 20),
        gradNorm: result.gradNorm,
        picturesPerSecond,
      });
      if (step % 20 === 0) await log.flush();
      if (step % settings.checkpoint_every === 0 && step < steps && (await save())) await publish();
    };
    do {
      while (!done() && !options.signal?.aborted) await advance();
    } while (!(await save()));
    await publish();
    const { params, ema } = await trainer.read();
    return {
      step,
      steps,
      loss: recentLoss(log.entries),
      seconds,
      params: params.slice(),
      ema: ema.slice(),
      interrupted: options.signal?.aborted === true && !done(),
    };
  } finally {
    await trainer.dispose();
  }
}

/** Those that are numbers: what a batch has none of has no mean. */
const finite = (metrics: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));

const round = (x: number): number => Math.round(x * 1000) / 1000;

/** Epochs below which a model has not learned its pictures: the shipped one is good at most styles after 20. */
const FEW_EPOCHS = 20;

/** What a number of steps means for the pictures. */
function expectation({ pictures, settings }: Stage, steps: number): string {
  if (pictures === undefined) return '';
  const times = (steps * picturesAStep(settings)) / pictures;
  const seen = times < 10 ? times.toFixed(1) : String(Math.round(times));
  const advice =
    times < FEW_EPOCHS ? ', which is little: give more minutes, fewer pictures or a smaller --size' : '';
  return `; each of ${pictures} pictures is seen ${seen} times${advice}`;
}

/** ONNX Runtime's words for too little memory, in ours. */
function outOfMemory(error: unknown, { name, settings }: Stage): RunError | null {
  if (!/bad_alloc|allocate memory|out of memory/i.test((error as Error).message)) return null;
  return new RunError(
    `memory runs out in a batch of ${settings.batch_size} pictures — ${name} — use a smaller --batch (and --accumulate), --size or network`,
  );
}

function diagnosis(
  { name, dir }: Stage,
  what: string,
  step: number,
  saved: number,
  entries: readonly Metrics[],
): string {
  const last = entries[entries.length - 1];
  const before = last
    ? `step ${last.step} had loss ${last.loss.toPrecision(3)}, gradient norm ${last.gradNorm.toPrecision(3)} and learning rate ${last.learningRate.toPrecision(3)}`
    : 'it was the first step';
  const from = saved > 0 ? `step ${saved}, whose state is sound` : 'the start';
  return `the ${name}'s ${what} at step ${step} (${before}) — ${dir} — go on from ${from}, by --resume and a lower --lr; if that does not help, look for damaged pictures`;
}
