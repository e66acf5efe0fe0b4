export type { DDIMConfig, DDPMConfig, DPMSolverConfig, EulerConfig } from './config.js';
export { DDIMScheduler } from './ddim.js';
export { DDPMScheduler } from './ddpm.js';
export { DPMSolverMultistepScheduler } from './dpmsolver.js';
export { EulerDiscreteScheduler } from './euler.js';
export {
  parseSchedulerConfig,
  SCHEDULER_NAMES,
  SCHEDULERS,
  type SchedulerName,
  schedulerFromConfig,
} from './from-config.js';
export { spacedTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './timesteps.js';
export type { BaseSchedulerConfig, Scheduler, StepOptions, StepResult } from './types.js';
