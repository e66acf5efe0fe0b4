/** What `sumi eval` does with its options. */
import path from 'node:path';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { type Evaluation, evaluate } from '../../src/metrics/evaluate.js';
import { type PictureSet, readPictureSet } from '../../src/metrics/picture-set.js';
import {
  extractorText,
  figures,
  labelFigures,
  memorisationText,
  sourceText,
  type Table,
  writeReport,
} from '../../src/metrics/report.js';
import { checkSeed } from '../../src/pipelines/index.js';
import type { EvalArgs } from '../eval.js';
import { requireWhole } from './checks.js';
import { drawForEval } from './eval-draw.js';
import { runPairs } from './eval-pairs.js';
import { interruptible } from './interrupt.js';
import { prepareFiles } from './outputs.js';
import { type Progress, startProgress } from './progress.js';
import { note, print, printJson, warn } from './report.js';

/** What only makes sense where a model draws. */
const DRAWING = ['model', 'count', 'steps', 'scheduler', 'eta', 'guidance'] as const;

/** What only makes sense where two sets of pictures are compared. */
const COMPARING = ['images', 'data', 'held-back', 'label', 'size', 'fit', 'background', 'cache'] as const;

function check(argv: EvalArgs): void {
  requireEngine(argv.engine as Engine);
  requireWhole(argv, ['count', 'reference', 'size', 'steps', 'threads']);
  checkSeed(argv.seed);
  const refuse = (why: string, names: readonly (keyof EvalArgs)[]) => {
    const given = names.find((name) => argv[name] !== undefined);
    if (given)
      throw new InputError(`${why} — ${given === 'model' ? argv.model : `--${given}`} — leave it out`);
  };
  if (argv.pairs) return refuse('pairs are compared as they are', [...DRAWING, ...COMPARING]);
  if (argv.images !== undefined) refuse('the pictures are drawn already', DRAWING);
  else if (argv.model === undefined)
    throw new InputError('nothing to measure — sumi eval — name a model, or a folder by --images');
  if (argv.data === undefined)
    throw new InputError('nothing to compare with — --data — name the folder that the model was trained on');
}

export async function runEval(argv: EvalArgs): Promise<void> {
  check(argv);
  await interruptible((signal) => (argv.pairs ? runPairs(argv, signal) : compare(argv, signal)));
}

/** Runs work under a progress display, whose total is known at its first update. */
export async function shown<T>(
  label: string,
  quiet: boolean,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  let progress: Progress | undefined;
  try {
    return await work((done, total) => {
      progress ??= startProgress({ label, total, quiet });
      progress.update(done);
    });
  } finally {
    progress?.stop();
  }
}

/** Reads real pictures, at the side that the generated have. */
export function readReal(
  dir: string,
  argv: EvalArgs,
  size: number,
  signal: AbortSignal,
): Promise<PictureSet> {
  const { fit, background, label, seed, reference, quiet } = argv;
  const options = { fit, background, label, seed, most: reference, size, signal };
  return shown(`read ${dir}`, quiet, (onProgress) => readPictureSet(dir, { ...options, onProgress }));
}

async function compare(argv: EvalArgs, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const { out, quiet, seed, threads, cache, images, label, size, data = '' } = argv;
  const names = ['report.json', 'report.html', 'closest.png'];
  await prepareFiles(names.map((name) => path.join(out, name)));
  let [generated, facts]: [PictureSet?, object?] = [];
  let real: PictureSet;
  if (images === undefined) ({ generated, real, facts } = await drawForEval(argv, signal));
  else {
    generated = await readPictureSet(images, { label, size, signal });
    real = await readReal(data, argv, generated.size, signal);
  }
  const held = argv['held-back'];
  const heldBack = held === undefined ? undefined : await readReal(held, argv, real.size, signal);
  const evaluation = await shown('features', quiet, (onProgress) =>
    evaluate({ real, generated, heldBack, seed, threads, cache, onProgress, signal }),
  );
  const files = await writeReport(out, evaluation, generated, real);
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
  if (argv.json) return printJson({ ...facts, seconds, ...evaluation, files });
  for (const text of evaluation.warnings) warn(text);
  print(terminalText(evaluation));
  note(`measured in ${seconds.toFixed(1)} s`, argv);
  for (const file of Object.values(files)) print(file);
}

/** A table in columns. */
function inColumns(table: Table): string {
  const widths = table[0].map((_, k) => Math.max(...table.map((cells) => cells[k].length)));
  return table
    .map((cells) =>
      cells
        .map((cell, k) => cell.padEnd(widths[k]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function terminalText(evaluation: Evaluation): string {
  const labels = labelFigures(evaluation);
  return [
    `${sourceText(evaluation.generated)} against ${sourceText(evaluation.real)}`,
    inColumns(figures(evaluation)),
    ...(labels ? [inColumns(labels)] : []),
    memorisationText(evaluation),
    `features: ${extractorText(evaluation)}`,
  ].join('\n\n');
}
