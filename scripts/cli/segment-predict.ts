/** What `sumi segment predict` does with its options. */
import { join } from 'node:path';
import { scanDataset } from '../../src/data/index.js';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { isDirectory, writeFileAtomic } from '../../src/files/index.js';
import { writePng } from '../../src/image/index.js';
import {
  Evaluator,
  findInstances,
  findPairs,
  type Instance,
  instancesCsv,
  OUTPUTS,
  type Output,
  outputFiles,
  predictFile,
  readSegmentModel,
  Segmenter,
  type SegmentModel,
  segmentSheet,
  writeOutputs,
} from '../../src/segmentation/index.js';
import type { SegmentPredictArgs } from '../segment.js';
import { interruptible } from './interrupt.js';
import { startProgress } from './progress.js';
import { note, print, printJson } from './report.js';
import { scoreTable } from './segment-report.js';
import { positive } from './train.js';

interface Task {
  readonly name: string;
  readonly path: string;
  readonly mask: string | null;
}

/** What is said of a picture. */
interface PictureReport {
  readonly image: string;
  readonly width: number;
  readonly height: number;
  readonly seconds: number;
  readonly classes: readonly { name: string; pixels: number; share: number; things: number }[];
  readonly files: Partial<Record<Output, string[]>>;
}

function kindsOf(text: string): Output[] {
  const words = text.split(',').map((word) => word.trim());
  const wrong = words.find((word) => !OUTPUTS.includes(word as Output));
  if (wrong === undefined) return [...new Set(words as Output[])];
  throw new InputError(`cannot save ${wrong || 'nothing'} — --save — choose from ${OUTPUTS.join(', ')}`);
}

/** Numbers of the classes that are named. @throws InputError for a name that is none */
function classNumbers(text: string | undefined, { table }: SegmentModel): number[] | undefined {
  const names = table.classes.map(({ name }) => name);
  return text?.split(',').map((part) => {
    const found = names.indexOf(part.trim());
    if (found >= 0) return found;
    throw new InputError(`no class ${part.trim()} — --keep — choose from ${names.join(', ')}`);
  });
}

/** The pictures to predict; where their true masks are given, only those that have one. */
async function tasksOf({ image, masks }: SegmentPredictArgs): Promise<Task[]> {
  if (!(await isDirectory(image))) {
    if (masks !== undefined && (await isDirectory(masks)))
      throw new InputError(`a folder of masks for one picture — --masks ${masks} — give the mask's file`);
    return [{ name: image.replace(/^.*[/\\]/, ''), path: image, mask: masks ?? null }];
  }
  if (masks !== undefined) {
    const { pairs } = await findPairs(image, masks);
    return pairs.map(({ name, image: path, mask }) => ({ name, path, mask }));
  }
  return (await scanDataset(image)).entries.map(({ name, path }) => ({ name, path, mask: null }));
}

const stem = (name: string): string => name.replace(/\.[^./]*$/, '');

/** @throws InputError for numbers that nothing can be done with */
function checkArgs(argv: SegmentPredictArgs): void {
  for (const name of ['tile', 'resize', 'threads', 'min-area'] as const) positive(name, argv[name], true);
  const within = (name: 'neck' | 'softness', most: number) => {
    const value = argv[name];
    if (value !== undefined && !(value >= 0 && value <= most))
      throw new InputError(`${value} is no use — --${name} — give a number from 0 to ${most}`);
  };
  within('neck', 1);
  within('softness', 0.5);
  if (argv.tolerance !== undefined && argv.tolerance < 0)
    throw new InputError(`${argv.tolerance} is no use — --tolerance — give 0 or more pixels`);
}

export async function runSegmentPredict(argv: SegmentPredictArgs): Promise<void> {
  checkArgs(argv);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  const kinds = kindsOf(argv.save);
  const model = await readSegmentModel(argv.model);
  const keep = classNumbers(argv.keep, model);
  const tasks = await tasksOf(argv);
  refuseDoubles(tasks, argv.out);
  const { tile, overlap, resize, softness, tolerance } = argv;
  const started = performance.now();
  const segmenter = new Segmenter(model, { engine, threads: argv.threads });
  const evaluator = new Evaluator(model.table);
  const pictures: PictureReport[] = [];
  const found: { image: string; list: readonly Instance[] }[] = [];
  const progress = startProgress({ label: 'predict', total: tasks.length, quiet: argv.quiet });
  try {
    await interruptible(async (signal) => {
      for (const { name, path, mask } of tasks) {
        signal.throwIfAborted();
        const began = performance.now();
        const prediction = await predictFile(segmenter, path, { tile, overlap, resize, signal });
        const options = { split: argv.split, neck: argv.neck, minArea: argv['min-area'] };
        const instances = findInstances(prediction.labels, model.table, options, prediction.probabilities);
        if (mask !== null) await evaluator.add(mask, prediction);
        const files = await writeOutputs(argv.out, stem(name), prediction, instances, model.table, {
          kinds,
          keep,
          softness,
          tolerance,
          decontaminate: argv.decontaminate,
        });
        found.push({ image: name, list: instances.list });
        const { width, height } = prediction.picture;
        pictures.push({
          image: name,
          width,
          height,
          seconds: seconds(began),
          classes: model.table.classes.map((c, i) => {
            const pixels = prediction.labels.data.reduce((n, label) => n + (label === i ? 1 : 0), 0);
            const things = instances.list.filter((instance) => instance.class === c.name).length;
            return { name: c.name, pixels, share: pixels / (width * height), things };
          }),
          files,
        });
        progress.update(pictures.length);
      }
    });
  } finally {
    progress.stop();
    await segmenter.dispose();
  }
  const { evaluation } = evaluator;
  const table = join(argv.out, 'things.csv');
  await writeFileAtomic(table, instancesCsv(found));
  const sheet = evaluation ? join(argv.out, 'sheet.png') : null;
  if (sheet) await writePng(sheet, await segmentSheet(evaluator.sheet, model.table));
  const report = {
    model: argv.model,
    engine,
    seconds: seconds(started),
    things: table,
    sheet,
    scores: evaluation,
    pictures,
  };
  await writeFileAtomic(join(argv.out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  if (argv.json) return void printJson(report);
  note(`${tasks.length} picture${tasks.length === 1 ? '' : 's'} in ${seconds(started).toFixed(1)} s`, argv);
  for (const line of evaluation ? scoreTable(evaluation) : totals(pictures)) print(line);
  print(`${argv.out}: ${kinds.join(', ')}, things.csv, report.json${sheet ? ', sheet.png' : ''}`);

  /** Pictures whose names differ in their extensions only would be written over each other. */
  function refuseDoubles(all: readonly Task[], out: string): void {
    const names = new Map<string, string>();
    for (const { name } of all) {
      const [file] = outputFiles(out, stem(name), 'mask', model.table);
      const other = names.get(file);
      if (other !== undefined)
        throw new InputError(
          `${other} and ${name} would be written to the same files — ${argv.image} — rename one`,
        );
      names.set(file, name);
    }
  }
}

const seconds = (since: number): number => Number(((performance.now() - since) / 1000).toFixed(3));

/** What was found, over all pictures. */
function totals(pictures: readonly PictureReport[]): string[] {
  return pictures[0].classes.map(({ name }, i) => {
    const of = (key: 'pixels' | 'share' | 'things') =>
      pictures.reduce((sum, p) => sum + p.classes[i][key], 0);
    const things = i === 0 ? '' : `, ${of('things')} things`;
    return `${name}: ${((100 * of('share')) / pictures.length).toFixed(1)} % of the pixels${things}`;
  });
}
