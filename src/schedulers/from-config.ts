/** Finds the scheduler that a scheduler_config.json names. */
import { InputError } from '../errors.js';
import { DDIMScheduler } from './ddim.js';
import { DDPMScheduler } from './ddpm.js';
import { DPMSolverMultistepScheduler } from './dpmsolver.js';
import { EulerAncestralDiscreteScheduler, EulerDiscreteScheduler } from './euler.js';
import { HeunDiscreteScheduler } from './heun.js';
import { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler } from './kdpm2.js';
import { LMSDiscreteScheduler } from './lms.js';
import type { Scheduler } from './types.js';

/** Schedulers by the short name of the command line. */
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
} as const;
export type SchedulerName = keyof typeof SCHEDULERS;
export const SCHEDULER_NAMES = Object.keys(SCHEDULERS) as SchedulerName[];

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

/**
 * The scheduler that a config names, or another one with the same noise schedule.
 * @param json the content of scheduler_config.json
 * @param overrideName a short name ('ddim') or class name ('DDIMScheduler') to use instead of the config's own
 * @throws InputError for a name that is unknown or missing, and for bad values in the config
 */
export function schedulerFromConfig(json: unknown, overrideName?: string): Scheduler {
  const config = (json ?? {}) as Record<string, unknown>;
  const name = overrideName ?? config._class_name;
  if (name === undefined)
    throw new InputError('scheduler has no name — scheduler_config.json — set _class_name');
  const found = SCHEDULER_NAMES.find((short) => short === name || SCHEDULERS[short].name === name);
  if (!found) {
    const known = SCHEDULER_NAMES.map((short) => `${short} (${SCHEDULERS[short].name})`).join(', ');
    throw new InputError(`scheduler '${name}' is unknown — scheduler — use one of ${known}`);
  }
  return new SCHEDULERS[found](json as object);
}
