/** What `sumi train` does with its options. */
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import {
  distill,
  type Plan,
  resumeTraining,
  type StepReport,
  type TrainResult,
  train,
  trainRefinerOf,
} from '../../src/training/index.js';
import type { TrainArgs } from '../train.js';
import { interruptible } from './interrupt.js';
import { type Progress, startProgress } from './progress.js';
import { note, printJson } from './report.js';
import { configOf, distillConfigOf, refineConfigOf } from './train-settings.js';

export function positive(name: string, value: number | undefined, whole: boolean): void {
  if (value === undefined) return;
  if (value > 0 && Number.isFinite(value) && (!whole || Number.isInteger(value))) return;
  throw new InputError(
    `${value} is no use — --${name} — give a ${whole ? 'whole number from 1' : 'number above 0'}`,
  );
}

/** One progress display after another: reading pictures, then each stage. */
export class Display {
  private shown: Progress | undefined;
  private label = '';

  constructor(private readonly quiet: boolean) {}

  private over(label: string, total: number): Progress {
    if (this.label !== label) {
      this.shown?.stop();
      this.shown = undefined;
      this.label = label;
    }
    this.shown ??= startProgress({ label, total, quiet: this.quiet });
    return this.shown;
  }

  redraw = (done: number, total: number): void => this.over('redrawing pictures', total).update(done);

  read = (done: number, total: number): void => this.over('reading pictures', total).update(done);

  step = ({ stage, step, steps, loss, picturesPerSecond }: StepReport): void =>
    this.over(`${stage} of ${steps}`, steps).update(step, { loss, picturesPerSecond });

  note = (line: string): void => {
    if (this.shown) this.shown.note(line);
    else note(line, { quiet: this.quiet });
  };

  stop(): void {
    this.shown?.stop();
  }
}

export async function runTrain(argv: TrainArgs): Promise<void> {
  for (const name of [
    'steps',
    'batch',
    'accumulate',
    'size',
    'checkpoint-every',
    'eval-every',
    'distill-steps',
    'scale',
    'threads',
  ] as const)
    positive(name, argv[name], true);
  for (const name of ['minutes', 'lr'] as const) positive(name, argv[name], false);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  if (argv.resume !== undefined) {
    const own = (
      [
        'out',
        'preset',
        'config',
        'size',
        'batch',
        'accumulate',
        'held-back',
        'seed',
        'flip',
        'background',
        'fit',
        'aspect-ratio-buckets',
        'autoencoder',
        'init',
        'inpaint',
        'distill',
        'distill-steps',
        'refine',
        'scale',
      ] as const
    ).filter((name) => argv[name] !== undefined);
    if (own.length > 0) {
      throw new InputError(
        `a run keeps its own settings — --${own.join(', --')} — leave out with --resume, or start a new run with --out`,
      );
    }
  } else if (argv.distill !== undefined) {
    if (argv.out === undefined)
      throw new InputError('a run directory is needed — --distill — name one by --out');
  } else if (argv['distill-steps'] !== undefined) {
    throw new InputError('nothing is distilled — --distill-steps — name the model by --distill');
  } else if (argv.scale !== undefined && argv.refine === undefined) {
    throw new InputError('nothing is refined — --scale — name the model by --refine');
  } else if (argv.data === undefined || argv.out === undefined) {
    throw new InputError(
      'a folder of pictures and a run directory are needed — sumi train — give --data and --out, or --resume',
    );
  }
  const distilled = argv.distill === undefined ? undefined : await distillConfigOf(argv);
  const refined = argv.refine === undefined ? undefined : await refineConfigOf(argv);
  const display = new Display(argv.quiet);
  const { threads } = argv;
  const config =
    argv.resume === undefined && !distilled && !refined
      ? await configOf(argv, { engine, threads, onPlan: (plan) => display.note(planText(plan)) })
      : undefined;
  const started = performance.now();
  const result = await interruptible(async (signal) => {
    const common = {
      engine,
      threads,
      minutes: argv.minutes,
      stage: argv.stage,
      cache: argv.cache,
      evalEvery: argv['eval-every'],
      dtype: argv.dtype === 'fp16' ? ('F16' as const) : ('F32' as const),
      signal,
      onRead: display.read,
      onRedraw: display.redraw,
      onStep: display.step,
      onNote: display.note,
    };
    try {
      if (refined)
        return await trainRefinerOf({
          ...common,
          model: argv.refine as string,
          data: argv.data as string,
          out: argv.out as string,
          config: refined,
        });
      if (distilled)
        return await distill({
          ...common,
          teacher: argv.distill as string,
          out: argv.out as string,
          config: distilled,
        });
      return config
        ? await train({
            ...common,
            data: argv.data as string,
            out: argv.out as string,
            autoencoderFrom: argv.autoencoder,
            initFrom: argv.inpaint ?? argv.init,
            config,
          })
        : await resumeTraining({
            ...common,
            run: argv.resume as string,
            data: argv.data,
            steps: argv.steps,
            learningRate: argv.lr,
          });
    } finally {
      display.stop();
    }
  });
  report(result, argv, (performance.now() - started) / 1000);
}

function planText({ preset, size, pace, seen, minutes }: Plan): string {
  const [pictures, seconds] = [seen.toPrecision(2), pace.toPrecision(2)];
  return `${minutes} minutes: --preset ${preset} at ${size}×${size}, whose network takes ${seconds} s a step and will see about ${Number(pictures)} pictures`;
}

function report(result: TrainResult, argv: TrainArgs, seconds: number): void {
  const { run, model, stages, pictures, skipped, labels, interrupted } = result;
  if (argv.json) {
    printJson({
      run,
      model,
      engine: argv.engine,
      seconds: Number(seconds.toFixed(3)),
      pictures,
      skipped,
      labels,
      interrupted,
      stages: stages.map(({ name, step, steps, loss, seconds: trained }) => ({
        stage: name,
        step,
        steps,
        loss,
        seconds: trained,
      })),
    });
    return;
  }
  const line = (text: string) => note(text, { quiet: argv.quiet });
  if (skipped > 0) line(`${skipped} damaged pictures were left out (--strict stops at the first)`);
  const stage = argv.resume && argv.stage ? ` --stage ${argv.stage}` : '';
  if (interrupted) line(`stopped; go on with: sumi train --resume ${run}${stage}`);
  else if (model) line(`the model is ready: sumi generate --model ${model} --out picture.png`);
  else line(`the autoencoder is ready: sumi train --resume ${run} --stage diffusion`);
}
