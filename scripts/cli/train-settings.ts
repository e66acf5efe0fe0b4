/** The settings that the options of `sumi train` and its settings file make together. */
import { readFile } from 'node:fs/promises';
import { InputError } from '../../src/errors.js';
import { fileError } from '../../src/files/index.js';
import {
  type DistillConfig,
  override,
  type Plan,
  type PlanOptions,
  parseDistillConfig,
  parseRefineConfig,
  parseTrainConfig,
  planByMinutes,
  presetConfig,
  type RefineConfig,
  settingsOf,
  type TrainConfig,
} from '../../src/training/index.js';
import type { TrainArgs } from '../train.js';

/**
 * The settings that options make: over the preset, those of the file, and over both the options' own.
 * @param planning how the preset is chosen where minutes are given and no preset is
 */
export async function configOf(
  argv: Partial<TrainArgs>,
  planning: Omit<PlanOptions, 'minutes' | 'size'> & { onPlan?: (plan: Plan) => void } = {},
): Promise<TrainConfig> {
  const file = argv.config === undefined ? {} : await readConfigFile(argv.config);
  const { named, base } = await baseOf(argv, file, planning);
  const given = {
    ...(argv.size === undefined ? {} : { size: argv.size }),
    ...(argv.seed === undefined ? {} : { seed: argv.seed }),
    ...(argv.background === undefined ? {} : { background: argv.background }),
    ...(argv.fit === undefined ? {} : { fit: argv.fit }),
    ...(argv.strict === undefined ? {} : { strict: argv.strict }),
    ...(argv['aspect-ratio-buckets'] === undefined
      ? {}
      : { aspect_ratio_buckets: argv['aspect-ratio-buckets'] }),
    ...(argv.flip === undefined ? {} : { augment: { flip: argv.flip } }),
    diffusion: {
      ...(argv.inpaint === undefined ? {} : { inpaint: true }),
      ...(argv['held-back'] === undefined ? {} : { held_back: argv['held-back'] }),
    },
  };
  const merged = merge(merge(base, file), given);
  let config = parseTrainConfig(merged, argv.config ?? named);
  config = override(config, argv.stage ?? 'all', argv.steps, argv.lr, argv.batch, argv.accumulate);
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

/**
 * What the file's settings lie over: a preset's, those of the model that training starts from, what fits the minutes, or
 * nothing.
 */
async function baseOf(
  { preset, init, inpaint, minutes, size, stage = 'all', autoencoder }: Partial<TrainArgs>,
  file: Json,
  planning: Parameters<typeof configOf>[1],
): Promise<{ named: string; base: Json }> {
  const known = preset ?? file.preset;
  const network = isObject(file.diffusion) && 'model' in (file.diffusion as Json);
  const model = inpaint ?? init;
  if (known === undefined && model !== undefined)
    return { named: `--${inpaint ? 'inpaint' : 'init'} ${model}`, base: await settingsOf(model, stage) };
  if (known === undefined && network) return { named: 'the settings', base: {} };
  if (known === undefined && minutes !== undefined && stage === 'all' && autoencoder === undefined) {
    const settled = size ?? (typeof file.size === 'number' ? file.size : undefined);
    const plan = await planByMinutes({ ...planning, minutes, size: settled });
    planning?.onPlan?.(plan);
    return { named: `--minutes ${minutes}`, base: plan.config };
  }
  const name = String(known ?? 'small');
  return { named: `--preset ${name}`, base: presetConfig(name) };
}

/** The settings of a stage that options name, with those of its own kind; none for options that were not given. */
function stageSettings(argv: TrainArgs, own: Json): Json {
  const all = {
    seed: argv.seed,
    steps: argv.steps,
    learning_rate: argv.lr,
    batch_size: argv.batch,
    gradient_accumulation_steps: argv.accumulate,
    checkpoint_every: argv['checkpoint-every'],
    ...own,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Settings of training a model on pictures, which other kinds of training have no use for. */
const OF_TRAINING = [
  'preset',
  'stage',
  'autoencoder',
  'init',
  'inpaint',
  'size',
  'flip',
  'aspect-ratio-buckets',
  'strict',
] as const;

/** What a distillation has of its teacher, or has no use for. */
const NOT_DISTILLED = [
  'data',
  ...OF_TRAINING,
  'background',
  'fit',
  'cache',
  'scale',
  'eval-every',
  'held-back',
] as const;

export async function distillConfigOf(argv: TrainArgs): Promise<DistillConfig> {
  const idle = NOT_DISTILLED.filter((name) => argv[name] !== undefined);
  if (idle.length > 0)
    throw new InputError(
      `a model learns from its teacher alone, which draws all it is shown — --${idle.join(', --')} — leave out with --distill`,
    );
  const file = argv.config === undefined ? {} : await readConfigFile(argv.config);
  const given = stageSettings(argv, { student_steps: argv['distill-steps'] });
  return parseDistillConfig({ ...file, ...given }, argv.config ?? '--distill');
}

/** What a refiner has no use for. */
const NOT_REFINED = [...OF_TRAINING, 'distill'] as const;

export async function refineConfigOf(argv: TrainArgs): Promise<RefineConfig> {
  const idle = NOT_REFINED.filter((name) => argv[name] !== undefined);
  if (idle.length > 0)
    throw new InputError(
      `a refiner is trained beside a model that is there — --${idle.join(', --')} — leave out with --refine`,
    );
  const file = argv.config === undefined ? {} : await readConfigFile(argv.config);
  const { scale, background, fit } = argv;
  const given = stageSettings(argv, { scale, held_back: argv['held-back'], background, fit });
  return parseRefineConfig({ ...file, ...given }, argv.config ?? '--refine');
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
