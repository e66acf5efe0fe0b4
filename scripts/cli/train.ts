/** What `sumi train` does with its options. */
import { readFile } from 'node:fs/promises';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { fileError } from '../../src/files/index.js';
import {
  override,
  parseTrainConfig,
  presetConfig,
  resumeTraining,
  type StepReport,
  settingsOf,
  type TrainConfig,
  type TrainResult,
  train,
} from '../../src/training/index.js';
import type { TrainArgs } from '../train.js';
import { interruptible } from './interrupt.js';
import { type Progress, startProgress } from './progress.js';
import { note, printJson } from './report.js';

export function positive(name: string, value: number | undefined, whole: boolean): void {
  if (value === undefined) return;
  if (value > 0 && Number.isFinite(value) && (!whole || Number.isInteger(value))) return;
  throw new InputError(
    `${value} is no use — --${name} — give a ${whole ? 'whole number from 1' : 'number above 0'}`,
  );
}

/** The settings that options make: over the preset, those of the file, and over both the options' own. */
export async function configOf(argv: Partial<TrainArgs>): Promise<TrainConfig> {
  const file = argv.config === undefined ? {} : await readConfigFile(argv.config);
  const { named, base } = await baseOf(argv, file);
  const given = {
    ...(argv.size === undefined ? {} : { size: argv.size }),
    ...(argv.seed === undefined ? {} : { seed: argv.seed }),
    ...(argv.background === undefined ? {} : { background: argv.background }),
    ...(argv.fit === undefined ? {} : { fit: argv.fit }),
    ...(argv.strict === undefined ? {} : { strict: argv.strict }),
    ...(argv.flip === undefined ? {} : { augment: { flip: argv.flip } }),
  };
  const merged = merge(merge(base, file), given);
  let config = parseTrainConfig(merged, argv.config ?? named);
  config = override(config, argv.stage ?? 'all', argv.steps, argv.lr, argv.batch);
  const every = argv['checkpoint-every'];
  if (every !== undefined) {
    config = {
      ...config,
      diffusion: { ...config.diffusion, checkpoint_every: every },
      autoencoder: config.autoencoder && { ...config.autoencoder, checkpoint_every: every },
    };
  }
  return config;
}

/** What the file's settings lie over: a preset's, those of the model that training starts from, or nothing. */
async function baseOf(
  { preset, init }: Partial<TrainArgs>,
  file: Json,
): Promise<{ named: string; base: Json }> {
  const known = preset ?? file.preset;
  const network = isObject(file.diffusion) && 'model' in (file.diffusion as Json);
  if (known === undefined && network) return { named: 'the settings', base: {} };
  if (known === undefined && init !== undefined)
    return { named: `--init ${init}`, base: await settingsOf(init) };
  const name = String(known ?? 'small');
  return { named: `--preset ${name}`, base: presetConfig(name) };
}

export type Json = Record<string, unknown>;

/** The second object's keys over the first's, objects merged; a network's `model` is taken whole. */
export function merge(under: Json, over: Json): Json {
  const out: Json = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const both = isObject(out[key]) && isObject(value) && key !== 'model';
    out[key] = both ? merge(out[key] as Json, value as Json) : value;
  }
  return out;
}

const isObject = (x: unknown): boolean => typeof x === 'object' && x !== null && !Array.isArray(x);

export async function readConfigFile(path: string): Promise<Json> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw fileError(error, path, 'cannot read');
  });
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value as Json;
  } catch {
    // Said below, whatever the fault.
  }
  throw new InputError(`not a JSON object — ${path} — see docs/training.md for the settings`);
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
  for (const name of ['steps', 'batch', 'size', 'checkpoint-every', 'eval-every', 'threads'] as const)
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
        'seed',
        'flip',
        'background',
        'fit',
        'autoencoder',
        'init',
      ] as const
    ).filter((name) => argv[name] !== undefined);
    if (own.length > 0) {
      throw new InputError(
        `a run keeps its own settings — --${own.join(', --')} — leave out with --resume, or start a new run with --out`,
      );
    }
  } else if (argv.data === undefined || argv.out === undefined) {
    throw new InputError(
      'a folder of pictures and a run directory are needed — sumi train — give --data and --out, or --resume',
    );
  }
  const config = argv.resume === undefined ? await configOf(argv) : undefined;
  const display = new Display(argv.quiet);
  const started = performance.now();
  const result = await interruptible(async (signal) => {
    const common = {
      engine,
      threads: argv.threads,
      minutes: argv.minutes,
      stage: argv.stage,
      cache: argv.cache,
      evalEvery: argv['eval-every'],
      dtype: argv.dtype === 'fp16' ? ('F16' as const) : ('F32' as const),
      signal,
      onRead: display.read,
      onStep: display.step,
      onNote: display.note,
    };
    try {
      return config
        ? await train({
            ...common,
            data: argv.data as string,
            out: argv.out as string,
            autoencoderFrom: argv.autoencoder,
            initFrom: argv.init,
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
