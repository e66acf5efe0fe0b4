/** The loss on pictures that a model is not trained on, beside that on as many that it is: their parting is overfitting. */
import type { JsonObject } from '../checkpoint/json.js';
import { type Dataset, mostFrequentShape } from '../data/index.js';
import { Compiled, type CompileOptions } from '../engine/compile.js';
import { type ParamSpec, viewParams } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import type { Tensor } from '../engine/tf.js';
import { Random } from '../random.js';
import { microBatches } from './accumulate.js';
import type { LossFunction } from './gradients.js';

/** Fewer say little of the others, and few pictures are all needed for training. */
const LEAST = 8;
/** More would cost time at each checkpoint and say no more. */
const MOST = 256;
/** Predictions of a measurement, of each set, at least: of few pictures each is looked at with several noises. */
const PREDICTIONS = 64;
/** Rows of the graph, where a training step has as many. */
const ROWS = 16;

export interface Split {
  readonly trained: Uint32Array;
  readonly held: Uint32Array;
}

/**
 * Which pictures of a dataset are held back: a share of them, 256 at most, by the seed; none where they would be fewer than 8.
 * Of pictures in several shapes they are of the most frequent one, so that one graph serves them all.
 * @param keepClasses no label loses its last picture
 */
export function holdBack(
  dataset: Pick<Dataset, 'count' | 'labelIds' | 'labels' | 'buckets'>,
  share: number,
  seed: number,
  keepClasses: boolean,
): Split {
  const { count, labelIds, labels } = dataset;
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  const alike = mostFrequentShape(dataset);
  const wanted = Math.min(MOST, Math.floor(alike.length * share));
  const left = new Int32Array(labels.length);
  for (const id of labelIds) if (id >= 0) left[id]++;
  const held: number[] = [];
  for (const k of new Random(seed, 'held back').permutation(alike.length)) {
    const i = alike[k];
    const id = labelIds[i];
    if (held.length === wanted) break;
    if (keepClasses && id >= 0 && left[id]-- === 1) continue;
    held.push(i);
  }
  if (held.length < LEAST) return { trained: all, held: new Uint32Array() };
  const chosen = new Set(held);
  return { trained: all.filter((i) => !chosen.has(i)), held: Uint32Array.from(held) };
}

/**
 * The pictures of a measurement, as many rows of each set: with the same noise and times for both sets and every time, the
 * figures of a run differ by its weights alone.
 * @param alike the pictures of one shape that they may be, `held` among them
 */
export function measuredRows(split: Split, alike: readonly number[]): { trained: number[]; held: number[] } {
  const { held } = split;
  const shaped = new Set(alike);
  const trained = split.trained.filter((i) => shaped.has(i));
  const rows = ROWS * Math.ceil(Math.max(PREDICTIONS, held.length) / ROWS);
  const some = (from: Uint32Array, count: number) =>
    Array.from({ length: rows }, (_, i) => from[Math.floor(((i % count) * from.length) / count)]);
  const count = Math.min(held.length, trained.length);
  return { trained: some(trained, count), held: some(held, held.length) };
}

/** Measures the loss of weights on two fixed batches. */
export class HeldBackLoss {
  private readonly compiled: Compiled;
  private readonly sets: Readonly<Record<'held_back_loss' | 'train_loss', readonly Record<string, Feed>[]>>;

  /**
   * @param held inputs of the loss, all with `measuredRows`' rows as their first dimension
   * @param trained the same
   * @param most rows that memory is known to have room for
   */
  constructor(
    private readonly specs: readonly ParamSpec[],
    lossOf: LossFunction,
    held: Readonly<Record<string, Feed>>,
    trained: Readonly<Record<string, Feed>>,
    most: number,
    { engine, threads }: CompileOptions,
  ) {
    const rows = ROWS / 2 ** Math.max(0, Math.ceil(Math.log2(ROWS / most)));
    const parts = Object.values(held)[0].shape[0] / rows;
    this.sets = { held_back_loss: microBatches(held, parts), train_loss: microBatches(trained, parts) };
    const loss = (inputs: Record<string, Tensor>) => {
      const params = Object.fromEntries(specs.map(({ name }) => [name, inputs[`params.${name}`]]));
      return { loss: lossOf(params, inputs).loss };
    };
    this.compiled = new Compiled(loss, { engine, threads, name: 'held-back loss' });
  }

  /** @param flat the weights @returns the mean loss of each set */
  async measure(flat: Float32Array): Promise<JsonObject> {
    const views = viewParams(this.specs, flat);
    const params = Object.fromEntries(
      this.specs.map(({ name, shape }): [string, Feed] => [
        `params.${name}`,
        { data: views[name], shape, dtype: 'float32' },
      ]),
    );
    const found: Record<string, number> = {};
    for (const [name, parts] of Object.entries(this.sets)) {
      let sum = 0;
      for (const part of parts) sum += (await this.compiled.run({ ...params, ...part })).loss[0];
      found[name] = Number((sum / parts.length).toPrecision(6));
    }
    return found;
  }

  dispose(): Promise<void> {
    return this.compiled.dispose();
  }
}
