/** Many pictures through one model: files of each, a table of things, scores where the truth is known. */
import { join } from 'node:path';
import { scanDataset } from '../data/index.js';
import type { CompileOptions } from '../engine/compile.js';
import { InputError } from '../errors.js';
import { isDirectory, writeFileAtomic } from '../files/index.js';
import { writePng } from '../image/index.js';
import { findInstances, type Instance, type InstanceOptions, instancesCsv } from './instances.js';
import type { Evaluation } from './metrics.js';
import type { SegmentModel } from './model.js';
import { type Output, type OutputOptions, writeOutputs } from './outputs.js';
import { segmentSheet } from './overlay.js';
import { findPairs } from './pairs.js';
import { type PredictOptions, predictFile } from './predict.js';
import { Segmenter } from './segmenter.js';
import { Evaluator } from './truth.js';

/** A picture to predict. */
export interface PredictTask {
  /** Its path within its folder. */
  readonly name: string;
  readonly path: string;
  /** File of its true mask; null: not known. */
  readonly mask: string | null;
}

export interface PredictedPicture {
  readonly image: string;
  readonly width: number;
  readonly height: number;
  readonly seconds: number;
  /** Of each class, how much of the picture it is, and how many things (none of the background). */
  readonly classes: readonly { name: string; pixels: number; share: number; things: number }[];
  readonly files: Partial<Record<Output, string[]>>;
}

export interface PredictReport {
  readonly pictures: readonly PredictedPicture[];
  /** Over all pictures with a true mask; null where there are none. */
  readonly scores: Evaluation | null;
  /** The table of all things. */
  readonly things: string;
  /** Picture, truth and prediction of eight of them, evenly spread. */
  readonly sheet: string | null;
}

export interface BatchOptions
  extends PredictOptions,
    OutputOptions,
    InstanceOptions,
    Pick<CompileOptions, 'engine' | 'threads'> {
  readonly onPicture?: (done: number, total: number) => void;
}

/**
 * The pictures of a folder, or one picture.
 * @param masks folder of true masks (then pictures without one are left out), or the picture's; undefined: none is known
 * @throws InputError when there are none, or both do not go together
 */
export async function predictTasks(image: string, masks?: string): Promise<PredictTask[]> {
  if (await isDirectory(image)) {
    if (masks === undefined)
      return (await scanDataset(image)).entries.map(({ name, path }) => ({ name, path, mask: null }));
    const { pairs } = await findPairs(image, masks);
    return pairs.map(({ name, image: path, mask }) => ({ name, path, mask }));
  }
  if (masks !== undefined && (await isDirectory(masks)))
    throw new InputError(`a folder of masks for one picture — ${masks} — give the mask's file`);
  return [{ name: image.replace(/^.*[/\\]/, ''), path: image, mask: masks ?? null }];
}

const stem = (name: string): string => name.replace(/\.[^./]*$/, '');

/**
 * Predicts pictures and writes what is asked for, `things.csv`, and `sheet.png` where the truth is known, into a folder.
 * @throws InputError when a picture cannot be read, or two would be written to the same files
 */
export async function predictPictures(
  model: SegmentModel,
  tasks: readonly PredictTask[],
  out: string,
  options: BatchOptions,
): Promise<PredictReport> {
  const named = new Map<string, string>();
  for (const { name } of tasks) {
    const other = named.get(stem(name));
    if (other !== undefined)
      throw new InputError(`${other} and ${name} would be written to the same files — ${out} — rename one`);
    named.set(stem(name), name);
  }
  const { table } = model;
  const segmenter = new Segmenter(model, options);
  const evaluator = new Evaluator(table, tasks.length);
  const pictures: PredictedPicture[] = [];
  const found: { image: string; list: readonly Instance[] }[] = [];
  try {
    for (const { name, path, mask } of tasks) {
      options.signal?.throwIfAborted();
      const began = performance.now();
      const prediction = await predictFile(segmenter, path, options);
      const { labels, picture } = prediction;
      const instances = findInstances(labels, table, options, prediction.probabilities);
      if (mask !== null) await evaluator.add(mask, prediction);
      const files = await writeOutputs(out, stem(name), prediction, instances, table, options);
      found.push({ image: name, list: instances.list });
      const { width, height } = picture;
      const classes = table.classes.map((c, i) => {
        const pixels = labels.data.reduce((n, label) => n + (label === i ? 1 : 0), 0);
        const things = instances.list.filter((instance) => instance.class === c.name).length;
        return { name: c.name, pixels, share: pixels / (width * height), things };
      });
      const seconds = Number(((performance.now() - began) / 1000).toFixed(3));
      pictures.push({ image: name, width, height, seconds, classes, files });
      options.onPicture?.(pictures.length, tasks.length);
    }
  } finally {
    await segmenter.dispose();
  }
  const things = join(out, 'things.csv');
  await writeFileAtomic(things, instancesCsv(found));
  const sheet = evaluator.sheet.length > 0 ? join(out, 'sheet.png') : null;
  if (sheet) await writePng(sheet, await segmentSheet(evaluator.sheet, table));
  return { pictures, scores: evaluator.evaluation, things, sheet };
}
