export type {
  DDIMConfig,
  DDPMConfig,
  DPMSolverConfig,
  EulerAncestralConfig,
  EulerConfig,
  HeunConfig,
  KDPM2Config,
  LMSConfig,
} from './config.js';
export { DDIMScheduler } from './ddim.js';
export { DDPMScheduler } from './ddpm.js';
export { DPMSolverMultistepScheduler } from './dpmsolver.js';
export { EulerAncestralDiscreteScheduler, EulerDiscreteScheduler } from './euler.js';
export {
  parseSchedulerConfig,
  SCHEDULER_NAMES,
  SCHEDULERS,
  type SchedulerName,
  schedulerFromConfig,
} from './from-config.js';
export { HeunDiscreteScheduler } from './heun.js';
export { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler } from './kdpm2.js';
export { LMSDiscreteScheduler } from './lms.js';
export { spacedTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './timesteps.js';
export {
  type BaseSchedulerConfig,
  type Scheduler,
  type StepOptions,
  type StepResult,
  stepStarts,
} from './types.js';
