/** Finds the scheduler that a scheduler_config.json names. */
import { FLOW_PREDICTION } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import { CMStochasticIterativeScheduler } from './consistency.js';
import { DDIMScheduler } from './ddim.js';
import { DDIMInverseScheduler } from './ddim-inverse.js';
import { DDPMScheduler } from './ddpm.js';
import { DEISMultistepScheduler } from './deis.js';
import { DPMSolverMultistepScheduler } from './dpmsolver.js';
import { DPMSolverSinglestepScheduler } from './dpmsolver-singlestep.js';
import { EDMDPMSolverMultistepScheduler, EDMEulerScheduler } from './edm.js';
import { EulerAncestralDiscreteScheduler, EulerDiscreteScheduler } from './euler.js';
import { FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler } from './flow-match.js';
import { HeunDiscreteScheduler } from './heun.js';
import { IPNDMScheduler } from './ipndm.js';
import { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler } from './kdpm2.js';
import { LCMScheduler } from './lcm.js';
import { LMSDiscreteScheduler } from './lms.js';
import { SCHEDULER_NAMES, type SchedulerName } from './names.js';
import { PNDMScheduler } from './pndm.js';
import { TCDScheduler } from './tcd.js';
import type { Sampler, Scheduler } from './types.js';
import { UniPCMultistepScheduler } from './unipc.js';

/** Schedulers for models of DDPM's process, by the short name of the command line. */
export const SCHEDULERS = {
  ddpm: DDPMScheduler,
  ddim: DDIMScheduler,
  euler: EulerDiscreteScheduler,
  'euler-a': EulerAncestralDiscreteScheduler,
  heun: HeunDiscreteScheduler,
  dpm2: KDPM2DiscreteScheduler,
  'dpm2-a': KDPM2AncestralDiscreteScheduler,
  lms: LMSDiscreteScheduler,
  dpmsolver: DPMSolverMultistepScheduler,
  'dpmsolver-single': DPMSolverSinglestepScheduler,
  deis: DEISMultistepScheduler,
  unipc: UniPCMultistepScheduler,
  pndm: PNDMScheduler,
  lcm: LCMScheduler,
  tcd: TCDScheduler,
} as const satisfies Record<SchedulerName, new (config: object) => Scheduler>;

/**
 * Reads the text of scheduler_config.json. Python writes `-Infinity` and `NaN` into it, which are not JSON (every
 * DPMSolverMultistepScheduler's config has one); they become null, which counts as absent.
 * @throws InputError when the text is not JSON otherwise
 */
export function parseSchedulerConfig(text: string): unknown {
  const json = text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) =>
    token[0] === '"' ? token : 'null',
  );
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new InputError(`not JSON (${(error as Error).message}) — scheduler_config.json — write it anew`);
  }
}

type SamplerClass = new (config: object) => Sampler;

const DDPM = 'DDPM’s process';
export const EDM = 'EDM’s preconditioning';
export const FLOW = 'a flow';

/** What models are of, and the schedulers that draw with them; those of DDPM's process are `SCHEDULERS`. */
const OTHERS: readonly [process: string, schedulers: readonly SamplerClass[]][] = [
  ['a time from 0 to 1', [IPNDMScheduler]],
  [EDM, [EDMEulerScheduler, EDMDPMSolverMultistepScheduler]],
  [FLOW, [FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler]],
  ['consistency', [CMStochasticIterativeScheduler]],
];

/** All classes that draw. */
export const SAMPLERS: readonly SamplerClass[] = [
  ...Object.values(SCHEDULERS),
  ...OTHERS.flatMap(([, schedulers]) => schedulers),
];

/** What the models are of that a scheduler of this name draws with. */
const processFor = (name: unknown): string =>
  OTHERS.find(([, schedulers]) => schedulers.some((one) => one.name === name))?.[0] ?? DDPM;

/** What the model is of that a config belongs to: 'a flow'. The inverse of DDIM is for the same models as DDIM. */
export function processOf(json: Record<string, unknown>): string {
  const { use_flow_sigmas, prediction_type, _class_name } = json;
  return use_flow_sigmas === true || prediction_type === FLOW_PREDICTION ? FLOW : processFor(_class_name);
}

/** Whether a scheduler is one for models of DDPM's process, whose levels are its ᾱ. */
export const isDiffusion = (sampler: Sampler): sampler is Scheduler => processOf(sampler.toConfig()) === DDPM;

/**
 * The scheduler that a config names, of whatever kind.
 * @param json the content of scheduler_config.json
 * @param overrideName a short name ('ddim') or class name ('DDIMScheduler') to use instead of the config's own
 * @throws InputError for a name that is unknown or missing, and for bad values in the config
 */
export function samplerFromConfig(json: unknown, overrideName?: string): Sampler {
  const name = nameOf(json, overrideName);
  const found = SCHEDULER_NAMES.find((short) => short === name || SCHEDULERS[short].name === name);
  if (found) return new SCHEDULERS[found](json as object);
  const other = [...SAMPLERS, DDIMInverseScheduler].find((candidate) => candidate.name === name);
  if (other) return new other(json as object);
  throw new InputError(`scheduler '${name}' is unknown — scheduler — use one of ${list()}`);
}

/**
 * The scheduler that a model draws with: the one that its config names, or another for models of the same process.
 * @param json the content of scheduler_config.json
 * @param overrideName a short name ('ddim') or class name ('DDIMScheduler') to use instead of the config's own
 * @throws InputError for a name that is unknown or missing, or of a scheduler for other models, and for bad values in
 * the config
 */
export function drawingSampler(json: unknown, overrideName?: string): Sampler {
  const config = (json ?? {}) as Record<string, unknown>;
  const name = nameOf(json, overrideName);
  if (name === DDIMInverseScheduler.name)
    throw new InputError(
      `${name} leads from a picture to noise — scheduler — name one that draws: ${list()}`,
    );
  const [own, wanted] = [processOf(config), processFor(name)];
  // Those that know sigmas of a flow are classes of DDPM's.
  const itself = (SCHEDULERS[name as SchedulerName]?.name ?? name) === config._class_name;
  if (own !== wanted && !itself) {
    const others = OTHERS.find(([process]) => process === own)?.[1].map((one) => one.name);
    throw new InputError(
      `${name} is for models of ${wanted}, this is a model of ${own} — scheduler — name ${others?.join(' or ') ?? `one of ${list()}`}`,
    );
  }
  const continuous = config.timestep_type === 'continuous' && config.prediction_type === 'v_prediction';
  if (continuous && name !== 'euler' && name !== EulerDiscreteScheduler.name)
    throw new InputError(
      `the model’s timesteps are continuous (timestep_type), those of ${name} are not — scheduler — use euler`,
    );
  return samplerFromConfig(json, overrideName);
}

/**
 * As `drawingSampler`, for what is made for DDPM's process alone.
 * @throws InputError for what that does, and for a model of another process
 */
export function schedulerFromConfig(json: unknown, overrideName?: string): Scheduler {
  const sampler = drawingSampler(json, overrideName);
  if (isDiffusion(sampler)) return sampler;
  throw new InputError(
    `the model is one of ${processOf(sampler.toConfig())} — scheduler — this needs a model of ${DDPM}`,
  );
}

const list = (): string => SCHEDULER_NAMES.join(', ');

function nameOf(json: unknown, overrideName?: string): unknown {
  const name = overrideName ?? ((json ?? {}) as Record<string, unknown>)._class_name;
  if (name !== undefined) return name;
  throw new InputError('scheduler has no name — scheduler_config.json — set _class_name');
}
