export type {
  DDIMConfig,
  DDPMConfig,
  DEISConfig,
  DPMSolverConfig,
  DPMSolverSinglestepConfig,
  EulerAncestralConfig,
  EulerConfig,
  HeunConfig,
  IPNDMConfig,
  KDPM2Config,
  LMSConfig,
  PNDMConfig,
  UniPCConfig,
} from './config.js';
export { DDIMScheduler } from './ddim.js';
export { DDPMScheduler } from './ddpm.js';
export { DEISMultistepScheduler } from './deis.js';
export { DPMSolverMultistepScheduler } from './dpmsolver.js';
export { DPMSolverSinglestepScheduler } from './dpmsolver-singlestep.js';
export { EulerAncestralDiscreteScheduler, EulerDiscreteScheduler } from './euler.js';
export {
  parseSchedulerConfig,
  SCHEDULER_NAMES,
  SCHEDULERS,
  type SchedulerName,
  samplerFromConfig,
  schedulerFromConfig,
} from './from-config.js';
export { HeunDiscreteScheduler } from './heun.js';
export { IPNDMScheduler } from './ipndm.js';
export { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler } from './kdpm2.js';
export { LMSDiscreteScheduler } from './lms.js';
export { PNDMScheduler } from './pndm.js';
export { spacedTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './timesteps.js';
export {
  type BaseSchedulerConfig,
  type Sampler,
  type Scheduler,
  type StepOptions,
  type StepResult,
  stepStarts,
} from './types.js';
export { UniPCMultistepScheduler } from './unipc.js';
