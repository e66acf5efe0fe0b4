/** What `sumi segment train` does with its options. */
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import {
  checkMasks,
  lintLines,
  type Measurement,
  parseSegmentConfig,
  resumeSegmenter,
  type SegmentConfig,
  type SegmentTrainResult,
  trainSegmenter,
} from '../../src/segmentation/index.js';
import type { SegmentTrainArgs } from '../segment/train.js';
import { interruptible } from './interrupt.js';
import { note, print, printJson } from './report.js';
import { scoreLine } from './segment-report.js';
import { Display, positive } from './train.js';
import { type Json, merge, readConfigFile } from './train-settings.js';

/** Options of `config` that a run keeps. */
const OWN = [
  'out',
  'classes',
  'group',
  'validation',
  'config',
  'base',
  'levels',
  'patch',
  'resize',
  'focus',
  'class-weights',
  'flip',
  'quarters',
  'rotate',
  'scale',
  'elastic',
  'colour',
  'batch',
  'seed',
] as const;

/** Without the keys that are not given. */
const given = (object: Json): Json =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

function classWeights(text: string | undefined): unknown {
  if (text === undefined || text === 'none' || text === 'balanced') return text;
  const numbers = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (numbers.every((x) => x >= 0 && Number.isFinite(x))) return numbers;
  throw new InputError(
    `no such weights: ${text} — --class-weights — give none, balanced, or numbers with commas between`,
  );
}

async function configOf(argv: SegmentTrainArgs): Promise<SegmentConfig> {
  const file = argv.config === undefined ? {} : await readConfigFile(argv.config);
  const { flip, quarters, rotate, scale, elastic, colour } = argv;
  const options = given({
    seed: argv.seed,
    resize: argv.resize,
    validation: argv.validation,
    patience: argv.patience,
    patch: argv.patch,
    focus: argv.focus,
    class_weights: classWeights(argv['class-weights']),
    batch_size: argv.batch,
    learning_rate: argv.lr,
    steps: argv.steps,
    checkpoint_every: argv['checkpoint-every'],
    augment: given({ flip, quarters, rotate, scale, elastic, colour }),
  });
  const model = { ...(file.model as Json | undefined), ...given({ base: argv.base, levels: argv.levels }) };
  return parseSegmentConfig(merge(merge(file, options), { model }), argv.config ?? 'sumi segment train');
}

export async function runSegmentTrain(argv: SegmentTrainArgs): Promise<void> {
  for (const name of [
    'steps',
    'batch',
    'patch',
    'resize',
    'base',
    'levels',
    'checkpoint-every',
    'threads',
  ] as const)
    positive(name, argv[name], true);
  for (const name of ['minutes', 'lr'] as const) positive(name, argv[name], false);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  if (argv.check) return runCheck(argv);
  if (argv.resume !== undefined) {
    const own = OWN.filter((name) => argv[name] !== undefined);
    if (own.length > 0) {
      throw new InputError(
        `a run keeps its own settings — --${own.join(', --')} — leave out with --resume, or start a new run with --out`,
      );
    }
  } else if (argv.images === undefined || argv.out === undefined) {
    throw new InputError(
      'a folder of pictures and a run directory are needed — sumi segment train — give --images, --masks and --out, or --resume',
    );
  }
  const config = argv.resume === undefined ? await configOf(argv) : undefined;
  const display = new Display(argv.quiet);
  const result = await interruptible(async (signal) => {
    const common = {
      engine,
      threads: argv.threads,
      minutes: argv.minutes,
      dtype: argv.dtype === 'fp16' ? ('F16' as const) : ('F32' as const),
      signal,
      onRead: display.read,
      onStep: display.step,
      onNote: display.note,
      onMeasure: (measurement: Measurement, best: boolean) =>
        display.note(`step ${measurement.step}: ${scoreLine(measurement)}${best ? ' (best)' : ''}`),
    };
    try {
      return config
        ? await trainSegmenter({
            ...common,
            images: argv.images as string,
            masks: argv.masks,
            classes: argv.classes,
            group: argv.group,
            out: argv.out as string,
            config,
            onLint: (report) => {
              for (const line of lintLines(report)) display.note(line);
            },
          })
        : await resumeSegmenter({
            ...common,
            run: argv.resume as string,
            images: argv.images,
            masks: argv.masks,
            steps: argv.steps,
            learningRate: argv.lr,
            patience: argv.patience,
          });
    } finally {
      display.stop();
    }
  });
  report(result, argv);
}

/** `--check`: the findings, one a line; bad input when there are errors. */
async function runCheck(argv: SegmentTrainArgs): Promise<void> {
  if (argv.images === undefined)
    throw new InputError(
      'a folder of pictures is needed — sumi segment train --check — give --images and --masks',
    );
  const { images, masks, classes, group } = argv;
  const display = new Display(argv.quiet);
  const { report: found } = await interruptible((signal) =>
    checkMasks({ images, masks, classes, group, signal, onRead: display.read }),
  ).finally(() => display.stop());
  if (argv.json) printJson(found);
  else for (const line of lintLines(found)) print(line);
  if (found.findings.some(({ level }) => level === 'error')) process.exitCode = 2;
}

function report(result: SegmentTrainResult, argv: SegmentTrainArgs): void {
  const { run, model, pictures, stage, best, stoppedEarly, interrupted } = result;
  if (argv.json) {
    printJson({ run, model, engine: argv.engine, pictures, ...stage, best, stoppedEarly, interrupted });
    return;
  }
  const line = (text: string) => note(text, { quiet: argv.quiet });
  if (best) line(`best at step ${best.step}: ${scoreLine(best)}`);
  if (interrupted) line(`stopped; go on with: sumi segment train --resume ${run}`);
  else line(`the model is ready: sumi segment predict --model ${model} --image picture.png --out result`);
}
