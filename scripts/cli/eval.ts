/** What `sumi eval` does with its options. */
import path from 'node:path';
import { scanDataset } from '../../src/data/index.js';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { evaluatePictures, LEAST_PICTURES } from '../../src/metrics/evaluate.js';
import type { PictureEvaluation } from '../../src/metrics/evaluation.js';
import { type PictureSet, readPictureSet } from '../../src/metrics/picture-set.js';
import {
  extractorText,
  figures,
  labelFigures,
  memorisationText,
  sourceText,
  writeReport,
} from '../../src/metrics/report.js';
import { checkSeed } from '../../src/pipelines/index.js';
import type { EvalArgs } from '../eval.js';
import { requireWhole } from './checks.js';
import { columns } from './columns.js';
import { drawForEval } from './eval-draw.js';
import { runPairs } from './eval-pairs.js';
import { readReal, shown } from './eval-read.js';
import { interruptible } from './interrupt.js';
import { prepareFiles } from './outputs.js';
import { note, print, printJson, warn } from './report.js';

/** What only makes sense where a model draws. */
const DRAWING = [
  'model',
  'count',
  'steps',
  'scheduler',
  'eta',
  'guidance',
  'batch',
  'fast',
  'precision',
] as const;

/** What only makes sense where two sets of pictures are compared. */
const COMPARING = ['data', 'held-back', 'label', 'size', 'fit', 'background', 'cache'] as const;

function check(argv: EvalArgs): void {
  requireEngine(argv.engine as Engine);
  requireWhole(argv, ['count', 'reference', 'size', 'steps', 'threads', 'batch', 'fast']);
  checkSeed(argv.seed);
  for (const name of ['count', 'reference'] as const) {
    const given = argv[name];
    if (given !== undefined && given < LEAST_PICTURES)
      throw new InputError(`${given} pictures are too few — --${name} — give ${LEAST_PICTURES} at least`);
  }
  const refuse = (why: string, names: readonly (keyof EvalArgs)[]) => {
    const given = names.find((name) => argv[name] !== undefined);
    if (given)
      throw new InputError(`${why} — ${given === 'model' ? argv.model : `--${given}`} — leave it out`);
  };
  if (argv.pairs !== undefined) {
    refuse('pairs are compared as they are', [...DRAWING, ...COMPARING]);
    if (argv.images === undefined)
      throw new InputError('one folder makes no pairs — --pairs — name the other by --images');
    return;
  }
  if (argv.images !== undefined) refuse('the pictures are drawn already', DRAWING);
  else if (argv.model === undefined)
    throw new InputError('nothing to measure — sumi eval — name a model, or a folder by --images');
  if (argv.data === undefined)
    throw new InputError('nothing to compare with — --data — name the folder that the model was trained on');
}

export async function runEval(argv: EvalArgs): Promise<void> {
  check(argv);
  await interruptible((signal) =>
    argv.pairs !== undefined ? runPairs(argv, signal) : compare(argv, signal),
  );
}

async function compare(argv: EvalArgs, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const { out, quiet, seed, threads, cache, images, label, size, data = '' } = argv;
  const names = ['report.json', 'report.html', 'closest.png'];
  await prepareFiles(names.map((name) => path.join(out, name)));
  const held = argv['held-back'];
  // A folder that is not there is told of before pictures are drawn.
  if (held !== undefined) await scanDataset(held);
  let [generated, facts]: [PictureSet?, object?] = [];
  let real: PictureSet;
  if (images === undefined) ({ generated, real, facts } = await drawForEval(argv, signal));
  else {
    generated = await readPictureSet(images, { label, size, signal });
    real = await readReal(data, argv, generated.size, signal);
  }
  const heldBack = held === undefined ? undefined : await readReal(held, argv, real.size, signal);
  const evaluation = await shown('features', quiet, (onProgress) =>
    evaluatePictures({ real, generated, heldBack, seed, threads, cache, onProgress, signal }),
  );
  const files = await writeReport(out, evaluation, generated, real);
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
  if (argv.json) return printJson({ ...facts, seconds, ...evaluation, files });
  for (const text of evaluation.warnings) warn(text);
  print(terminalText(evaluation));
  note(`measured in ${seconds.toFixed(1)} s`, argv);
  for (const file of Object.values(files)) print(file);
}

function terminalText(evaluation: PictureEvaluation): string {
  const labels = labelFigures(evaluation);
  return [
    `${sourceText(evaluation.generated)} against ${sourceText(evaluation.real)}`,
    columns(figures(evaluation), '').join('\n'),
    ...(labels ? [columns(labels, '').join('\n')] : []),
    memorisationText(evaluation),
    `features: ${extractorText(evaluation)}`,
  ].join('\n\n');
}
