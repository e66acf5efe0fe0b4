/** What `sumi segment predict` does with its options. */
import { join } from 'node:path';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { writeFileAtomic } from '../../src/files/index.js';
import {
  OUTPUTS,
  type Output,
  type PredictedPicture,
  predictPictures,
  predictTasks,
  readSegmentModel,
  type SegmentModel,
} from '../../src/segmentation/index.js';
import type { SegmentPredictArgs } from '../segment/predict.js';
import { interruptible } from './interrupt.js';
import { startProgress } from './progress.js';
import { note, print, printJson } from './report.js';
import { scoreTable } from './segment-report.js';
import { positive } from './train.js';

function kindsOf(text: string): Output[] {
  const words = text.split(',').map((word) => word.trim());
  const wrong = words.find((word) => !OUTPUTS.includes(word as Output));
  if (wrong === undefined) return [...new Set(words as Output[])];
  throw new InputError(`cannot save ${wrong || 'nothing'} — --save — choose from ${OUTPUTS.join(', ')}`);
}

/** Numbers of the classes that are named. @throws InputError for a name that is none */
export function classNumbers(
  text: string | undefined,
  { table }: SegmentModel,
  option = '--keep',
): number[] | undefined {
  const names = table.classes.map(({ name }) => name);
  return text?.split(',').map((part) => {
    const found = names.indexOf(part.trim());
    if (found >= 0) return found;
    throw new InputError(`no class ${part.trim()} — ${option} — choose from ${names.join(', ')}`);
  });
}

/** @throws InputError for numbers that nothing can be done with */
function checkArgs(argv: SegmentPredictArgs): void {
  for (const name of ['tile', 'resize', 'threads', 'min-area'] as const) positive(name, argv[name], true);
  for (const [name, most] of [
    ['neck', 1],
    ['softness', 0.5],
    ['tolerance', 1000],
  ] as const) {
    const value = argv[name];
    if (value !== undefined && !(value >= 0 && value <= most))
      throw new InputError(`${value} is no use — --${name} — give a number from 0 to ${most}`);
  }
}

export async function runSegmentPredict(argv: SegmentPredictArgs): Promise<void> {
  checkArgs(argv);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  const kinds = kindsOf(argv.save);
  const model = await readSegmentModel(argv.model);
  const keep = classNumbers(argv.keep, model);
  const tasks = await predictTasks(argv.image, argv.masks);
  const { out, tile, overlap, resize, softness, tolerance, decontaminate, split, neck, threads } = argv;
  const started = performance.now();
  const progress = startProgress({ label: 'predict', total: tasks.length, quiet: argv.quiet });
  const made = await interruptible((signal) =>
    predictPictures(model, tasks, out, {
      ...{ engine, threads, tile, overlap, resize, split, neck, minArea: argv['min-area'] },
      ...{ kinds, keep, softness, tolerance, decontaminate, signal },
      onPicture: (done) => progress.update(done),
    }),
  ).finally(() => progress.stop());
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
  const report = { model: argv.model, engine, seconds, ...made };
  await writeFileAtomic(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  if (argv.json) {
    printJson(report);
    return;
  }
  note(`${tasks.length} picture${tasks.length === 1 ? '' : 's'} in ${seconds.toFixed(1)} s`, argv);
  for (const line of made.scores ? scoreTable(made.scores) : totals(made.pictures)) print(line);
  print(`${out}: ${kinds.join(', ')}, things.csv, report.json${made.sheet ? ', sheet.png' : ''}`);
}

/** What was found, over all pictures. */
function totals(pictures: readonly PredictedPicture[]): string[] {
  return pictures[0].classes.map(({ name }, i) => {
    const sum = (key: 'share' | 'things') => pictures.reduce((total, p) => total + p.classes[i][key], 0);
    const things = i === 0 ? '' : `, ${sum('things')} things`;
    return `${name}: ${((100 * sum('share')) / pictures.length).toFixed(1)} % of the pixels${things}`;
  });
}
