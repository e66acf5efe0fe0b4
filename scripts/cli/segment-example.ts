/** What `sumi segment example` does with its options. */
import { join } from 'node:path';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { type Measurement, runExample } from '../../src/segmentation/index.js';
import type { SegmentExampleArgs } from '../segment/example.js';
import { interruptible } from './interrupt.js';
import { note, print, printJson } from './report.js';
import { scoreLine, scoreTable } from './segment-report.js';
import { Display, positive } from './train.js';

export async function runSegmentExample(argv: SegmentExampleArgs): Promise<void> {
  for (const name of ['steps', 'threads'] as const) positive(name, argv[name], true);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  const { name, out = join('runs', `example-${name}`), steps, threads, quiet } = argv;
  const display = new Display(quiet);
  const result = await interruptible((signal) =>
    runExample(name, {
      ...{ out, steps, engine, threads, signal },
      dtype: argv.dtype === 'fp16' ? 'F16' : 'F32',
      onRead: display.read,
      onStep: display.step,
      onNote: display.note,
      onMeasure: (measurement: Measurement, best: boolean) =>
        display.note(`step ${measurement.step}: ${scoreLine(measurement)}${best ? ' (best)' : ''}`),
    }),
  ).finally(() => display.stop());
  if (argv.json) {
    printJson(result);
    return;
  }
  const { training, held, count } = result;
  if (training.interrupted || held === null) {
    note('stopped; the same command goes on', { quiet });
    return;
  }
  print(`${name}: rendered pictures, ${held.pictures.length} of them held back`);
  for (const line of held.scores ? scoreTable(held.scores) : []) print(line);
  if (count)
    print(
      `${count.class}: ${count.found} counted, ${count.true} there; the counts of single pictures are off by ${count.off}`,
    );
  print(`${out}: run/model, results/sheet.png, results/report.json`);
}
