/** Options of guidance, of where noise comes from and when more is added, which the commands that draw share. */
import type { Argv } from 'yargs';
import { InputError } from '../../src/errors.js';
import type { GuidanceInterval } from '../../src/guidance/interval.js';
import { type ProjectedOptions, projectedOptions } from '../../src/guidance/projected.js';
import type { Json } from '../../src/image/encode.js';
import type { DiffusionPipeline, SamplingOptions } from '../../src/pipelines/index.js';
import type { Churn } from '../../src/schedulers/index.js';

export interface GuidanceArgs {
  guide?: string;
  'negative-label'?: string;
  'guidance-rescale'?: number;
  'guidance-interval'?: string;
  apg?: boolean;
  'apg-eta'?: number;
  'apg-norm-threshold'?: number;
  'apg-momentum'?: number;
  rng?: string;
  's-churn'?: number;
  's-tmin'?: number;
  's-tmax'?: number;
  's-noise'?: number;
}

export function guidanceOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('guide', {
      type: 'string',
      describe: 'A weaker model of the same training, folder or name, to lead away from (autoguidance)',
    })
    .option('negative-label', {
      type: 'string',
      describe: 'A label that guidance leads away from, by name or number',
    })
    .option('guidance-rescale', {
      type: 'number',
      describe: 'How much of its contrast guidance gives back, 0 (default) to 1',
    })
    .option('guidance-interval', {
      type: 'string',
      describe: 'Noise levels σ with guidance, as LOW,HIGH; inf is no end (default: all)',
    })
    .option('apg', {
      type: 'boolean',
      describe: 'Adaptive projected guidance: strong guidance with less saturation',
    })
    .option('apg-eta', {
      type: 'number',
      describe: 'Of --apg: weight of what only saturates, from 0 (default) to that of plain guidance, 1',
    })
    .option('apg-norm-threshold', {
      type: 'number',
      describe: 'Of --apg: the longest change, as a norm over the sample (default: no limit)',
    })
    .option('apg-momentum', {
      type: 'number',
      describe: 'Of --apg: weight of the steps before, -1 to 1 (default: -0.5)',
    })
    .option('rng', {
      type: 'string',
      choices: ['sumi', 'torch'],
      describe: 'Whose random numbers: torch draws what diffusers draws from the seed (default: sumi)',
    })
    .option('s-churn', {
      type: 'number',
      describe: 'Of euler: noise added on the way, over all steps (default: 0)',
    })
    .option('s-tmin', { type: 'number', describe: 'Of --s-churn: from this noise level σ (default: 0)' })
    .option('s-tmax', { type: 'number', describe: 'Of --s-churn: up to this noise level (default: all)' })
    .option('s-noise', { type: 'number', describe: 'Of --s-churn: the deviation of the noise (default: 1)' });
}

/** What they make of a pipeline's options; absent ones stay undefined. @throws InputError for what is no interval */
export function guidanceOf(
  argv: GuidanceArgs,
): Pick<SamplingOptions, 'negativeLabel' | 'guidanceRescale' | 'guidanceInterval' | 'apg' | 'rng' | 'churn'> {
  const interval = argv['guidance-interval'];
  return {
    negativeLabel: argv['negative-label'],
    guidanceRescale: argv['guidance-rescale'],
    guidanceInterval: interval === undefined ? undefined : intervalOf(interval),
    apg: apgOf(argv),
    rng: argv.rng as SamplingOptions['rng'],
    churn: churnOf(argv),
  };
}

/** What a recipe says of them: those that are given, and nothing of the others. */
export function guidanceFacts(argv: GuidanceArgs, pipeline: DiffusionPipeline): Record<string, Json> {
  const { negativeLabel, guidanceRescale, guidanceInterval, apg, rng, churn } = guidanceOf(argv);
  const index = negativeLabel === undefined ? undefined : pipeline.labelIndex(negativeLabel);
  const facts: Record<string, Json | undefined> = {
    guide: argv.guide,
    negativeLabel: index === undefined ? undefined : (pipeline.labels[index] ?? String(index)),
    guidanceRescale,
    // JSON has no infinity.
    guidanceInterval: guidanceInterval?.map((x) => (x === Infinity ? 'inf' : x)),
    apg: apg && { ...projectedOptions(apg) },
    rng: rng === 'sumi' ? undefined : rng,
    churn: churn && { ...churn },
  };
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined)) as Record<
    string,
    Json
  >;
}

function intervalOf(text: string): GuidanceInterval {
  const ends = text.split(',').map((end) => {
    const word = end.trim().toLowerCase();
    return word === 'inf' ? Infinity : word === '' ? NaN : Number(word);
  });
  if (ends.length === 2 && !ends.some(Number.isNaN)) return [ends[0], ends[1]];
  throw new InputError(
    `${text} is no interval of noise levels — --guidance-interval — give two rising numbers from 0, such as 0.3,3`,
  );
}

/** Any of its options turns it on. */
function apgOf(argv: GuidanceArgs): ProjectedOptions | undefined {
  const options = {
    eta: argv['apg-eta'],
    normThreshold: argv['apg-norm-threshold'],
    momentum: argv['apg-momentum'],
  };
  const on = argv.apg ?? Object.values(options).some((value) => value !== undefined);
  return on ? options : undefined;
}

/** @throws InputError for an option of it without it */
function churnOf(argv: GuidanceArgs): Churn | undefined {
  const given = { min: argv['s-tmin'], max: argv['s-tmax'], noise: argv['s-noise'] };
  const amount = argv['s-churn'];
  const rest = Object.entries(given).filter(([, value]) => value !== undefined);
  if (amount !== undefined) return { amount, ...Object.fromEntries(rest) };
  if (rest.length === 0) return undefined;
  throw new InputError(
    '--s-tmin, --s-tmax and --s-noise change nothing by themselves — --s-churn — give it, too',
  );
}
