/** What `sumi average` does with its options. */
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { averageRun } from '../../src/training/index.js';
import type { AverageArgs } from '../average.js';
import { requireWhole } from './checks.js';
import { columns } from './columns.js';
import { interruptible } from './interrupt.js';
import { note, print, printJson } from './report.js';

/** @throws InputError for what is no list of numbers */
function widthsOf(text: string): number[] {
  const widths = text.split(',').map((word) => (word.trim() === '' ? Number.NaN : Number(word)));
  if (widths.some(Number.isNaN))
    throw new InputError(`"${text}" is no list of numbers — --width — give such as 0.08 or 0.05,0.1`);
  return widths;
}

export async function runAverage(argv: AverageArgs): Promise<void> {
  requireWhole(argv, ['at', 'count', 'threads']);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  const result = await interruptible((signal) =>
    averageRun({
      run: argv.run,
      widths: widthsOf(argv.width),
      at: argv.at,
      out: argv.out,
      count: argv.count,
      dtype: argv.dtype === 'fp16' ? 'F16' : 'F32',
      engine,
      threads: argv.threads,
      signal,
      onNote: (line) => note(line, argv),
    }),
  );
  if (argv.json) return printJson({ ...result });
  const { averages, published, model, step } = result;
  if (averages.length > 1) {
    const rows = averages.map(({ width, kid, kidStandardError, error }) => [
      width === null ? 'the model as it was' : `width ${width}`,
      `KID ${kid?.toFixed(3)} ± ${((kidStandardError as number) * 1.96).toFixed(3)}`,
      width === null ? '' : `${(error * 100).toFixed(1)} % off`,
    ]);
    print(columns(rows).join('\n'));
  } else note(`the average is ${(averages[0].error * 100).toFixed(1)} % off the one asked for`, argv);
  if (published === null) note(`none is better — ${model} is as it was`, argv);
  else note(`width ${published} at step ${step}: ${model}`, argv);
}
