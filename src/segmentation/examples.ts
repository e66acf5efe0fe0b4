/**
 * A whole example of each field of application: data rendered, a model trained, and scores on a part that had no say in
 * training, neither in its steps nor in which of them was best.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { METADATA_FILE } from '../data/metadata.js';
import { RENDERED, type RenderedName, renderDataset } from '../data/rendered/index.js';
import { isDirectory, writeFileAtomic } from '../files/index.js';
import { type PredictReport, predictPictures, predictTasks } from './batch.js';
import { parseSegmentConfig, type SegmentConfigInput } from './config.js';
import { readSegmentModel } from './model.js';
import {
  resumeSegmenter,
  type SegmentTrainOptions,
  type SegmentTrainResult,
  trainSegmenter,
} from './train.js';

const common: SegmentConfigInput = {
  model: { base: 12, levels: 3 },
  patch: 96,
  batch_size: 8,
  steps: 400,
  checkpoint_every: 100,
};

/** Turned by quarters where the pictures have no up. */
const turned: SegmentConfigInput = { ...common, augment: { quarters: true } };

/** Smaller patches are enough where the things are small or look alike everywhere. */
const close: SegmentConfigInput = { ...common, patch: 64, steps: 300 };

/** What each example is trained with; the rest is as in every run. */
export const EXAMPLES: Readonly<Record<RenderedName, SegmentConfigInput>> = {
  cells: { ...common, augment: { quarters: true, elastic: 1 } },
  aerial: turned,
  landscapes: close,
  leaves: turned,
  streets: { ...close, steps: 400 },
  scratches: { ...close, augment: { quarters: true } },
  // Few clips have few colours, which are not to tell what a thing is.
  moving: { ...close, steps: 400, augment: { quarters: true, colour: 0.4 } },
  // The shipped model. Any colour on any ground takes a wider view, more pictures and more steps; what is larger than all
  // that it has seen is made smaller.
  sprites: {
    ...common,
    resize: 96,
    model: { base: 12, levels: 4 },
    steps: 1000,
    augment: { quarters: true, scale: 0.3, colour: 0.25 },
  },
};

/** Pictures that are held back. */
const HELD = 80;

export interface ExampleOptions
  extends Omit<SegmentTrainOptions, 'images' | 'masks' | 'classes' | 'group' | 'out' | 'config'> {
  /** Folder for data, run and results. */
  readonly out: string;
  /** Replaces the example's number of steps. */
  readonly steps?: number;
}

/** Things over all pictures. */
export interface ThingCount {
  readonly class: string;
  readonly true: number;
  readonly found: number;
  /** Sum over the pictures of how far each one's count is off: too many in one do not make up for too few in another. */
  readonly off: number;
}

export interface ExampleResult {
  readonly name: RenderedName;
  readonly training: SegmentTrainResult;
  /** On the part held back; null when the training was stopped before its end. */
  readonly held: PredictReport | null;
  /** How many of the class that is counted there are and were found; null where none is. */
  readonly count: ThingCount | null;
}

/**
 * Renders, trains and measures an example; one that was stopped goes on.
 * @throws InputError when the folder holds something else
 */
export async function runExample(name: RenderedName, options: ExampleOptions): Promise<ExampleResult> {
  const { out, steps, ...loop } = options;
  const [data, test, run] = ['data', 'held-back', 'run'].map((folder) => join(out, folder));
  const { signal } = options;
  // Other seeds: no picture of one is in the other.
  if (!(await isDirectory(data))) await renderDataset(name, { out: data, seed: 0, signal });
  if (!(await isDirectory(test))) await renderDataset(name, { out: test, seed: 1, count: HELD, signal });
  const images = join(data, 'images');
  const settings = parseSegmentConfig({ ...EXAMPLES[name], ...(steps === undefined ? {} : { steps }) }, name);
  const classes = join(data, 'classes.json');
  const training = (await isDirectory(join(run, 'checkpoints')))
    ? await resumeSegmenter({ ...loop, steps, run })
    : await trainSegmenter({ ...loop, images, classes, config: settings, out: run });
  if (training.interrupted) return { name, training, held: null, count: null };
  const model = await readSegmentModel(run);
  const { counted } = RENDERED[name];
  const tasks = await predictTasks(join(test, 'images'), join(test, 'masks'));
  const results = join(out, 'results');
  const { engine, threads } = loop;
  const held = await predictPictures(model, tasks, results, {
    ...{ engine, threads, signal, kinds: ['overlay'], split: counted !== undefined },
  });
  const count = counted === undefined ? null : await countThings(test, held, counted);
  const scores = { name, step: training.best?.step, scores: held.scores, count };
  await writeFileAtomic(join(results, 'report.json'), `${JSON.stringify(scores, null, 2)}\n`);
  return { name, training, held, count };
}

async function countThings(test: string, held: PredictReport, counted: string): Promise<ThingCount> {
  const lines = (await readFile(join(test, 'images', METADATA_FILE), 'utf8')).trim().split('\n');
  const rows = lines.map((line) => JSON.parse(line) as { file_name: string; objects: number });
  const there = new Map(rows.map(({ file_name, objects }) => [file_name, objects]));
  const total = { class: counted, true: 0, found: 0, off: 0 };
  for (const { image, classes } of held.pictures) {
    const objects = there.get(image) ?? 0;
    const things = classes.find((c) => c.name === counted)?.things ?? 0;
    total.true += objects;
    total.found += things;
    total.off += Math.abs(objects - things);
  }
  return total;
}
