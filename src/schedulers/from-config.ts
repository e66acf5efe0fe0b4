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

/** Schedulers that the pipelines cannot draw with, and why. */
const OTHERS: readonly [scheduler: SamplerClass, why: string][] = [
  [DDIMInverseScheduler, 'leads from a picture to noise'],
  [IPNDMScheduler, 'is for models whose time goes from 0 to 1'],
  [EDMEulerScheduler, 'is for models preconditioned as in EDM'],
  [EDMDPMSolverMultistepScheduler, 'is for models preconditioned as in EDM'],
  [FlowMatchEulerDiscreteScheduler, 'is for models of a flow'],
  [FlowMatchHeunDiscreteScheduler, 'is for models of a flow'],
  [CMStochasticIterativeScheduler, 'is for consistency models'],
];

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
  const other = OTHERS.find(([candidate]) => candidate.name === name);
  if (other) return new other[0](json as object);
  const known = SCHEDULER_NAMES.join(', ');
  throw new InputError(`scheduler '${name}' is unknown — scheduler — use one of ${known}`);
}

/**
 * The scheduler that a config names, or another one with the same noise schedule.
 * @param json the content of scheduler_config.json
 * @param overrideName a short name ('ddim') or class name ('DDIMScheduler') to use instead of the config's own
 * @throws InputError for a name that is unknown or missing, for one that does not draw with a model of DDPM's process,
 * and for bad values in the config
 */
export function schedulerFromConfig(json: unknown, overrideName?: string): Scheduler {
  const name = nameOf(json, overrideName);
  const other = OTHERS.find(([candidate]) => candidate.name === name);
  if (other)
    throw new InputError(
      `${name} ${other[1]} — scheduler — name one that draws with models of DDPM’s process: ${SCHEDULER_NAMES.join(', ')}`,
    );
  requireDiffusion((json ?? {}) as Record<string, unknown>, name);
  return samplerFromConfig(json, overrideName) as Scheduler;
}

/** @throws InputError for a model of another process, or with timesteps that the scheduler named does not have */
function requireDiffusion(json: Record<string, unknown>, name: unknown): void {
  const { use_flow_sigmas, prediction_type, timestep_type, _class_name } = json;
  const own = OTHERS.find(([candidate]) => candidate.name === _class_name);
  // The inverse of DDIM is for the same models as DDIM.
  if (own && own[0] !== DDIMInverseScheduler)
    throw new InputError(
      `the model’s scheduler, ${_class_name}, ${own[1]}, which ${name} does not draw with — scheduler — use a model of DDPM’s process; in code, samplerFromConfig`,
    );
  if (use_flow_sigmas === true || prediction_type === FLOW_PREDICTION) {
    const key = use_flow_sigmas === true ? 'use_flow_sigmas' : `prediction_type ${FLOW_PREDICTION}`;
    throw new InputError(
      `the model is one of a flow (${key}) — scheduler — use a model of DDPM’s process; in code, samplerFromConfig`,
    );
  }
  const continuous = timestep_type === 'continuous' && prediction_type === 'v_prediction';
  if (continuous && name !== 'euler' && name !== EulerDiscreteScheduler.name)
    throw new InputError(
      `the model’s timesteps are continuous (timestep_type), those of ${name} are not — scheduler — use euler`,
    );
}

function nameOf(json: unknown, overrideName?: string): unknown {
  const name = overrideName ?? ((json ?? {}) as Record<string, unknown>)._class_name;
  if (name !== undefined) return name;
  throw new InputError('scheduler has no name — scheduler_config.json — set _class_name');
}
