export { requireChurn } from './churn.js';
export type {
  ConsistencyConfig,
  DDIMConfig,
  DDIMInverseConfig,
  DDPMConfig,
  DEISConfig,
  DistilledConfig,
  DPMSolverConfig,
  DPMSolverSinglestepConfig,
  EDMConfig,
  EDMDPMSolverConfig,
  EulerAncestralConfig,
  EulerConfig,
  FlowMatchConfig,
  FlowMatchHeunConfig,
  HeunConfig,
  IPNDMConfig,
  KDPM2Config,
  LMSConfig,
  PNDMConfig,
  UniPCConfig,
} from './config.js';
export { CMStochasticIterativeScheduler } from './consistency.js';
export { DDIMScheduler } from './ddim.js';
export { DDIMInverseScheduler } from './ddim-inverse.js';
export { DDPMScheduler } from './ddpm.js';
export { DEISMultistepScheduler } from './deis.js';
export { DPMSolverMultistepScheduler } from './dpmsolver.js';
export { DPMSolverSinglestepScheduler } from './dpmsolver-singlestep.js';
export { EDMDPMSolverMultistepScheduler, EDMEulerScheduler } from './edm.js';
export { EulerAncestralDiscreteScheduler, EulerDiscreteScheduler } from './euler.js';
export { FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler } from './flow-match.js';
export {
  drawingSampler,
  EDM,
  FLOW,
  isDiffusion,
  parseSchedulerConfig,
  processOf,
  SAMPLERS,
  SCHEDULERS,
  samplerFromConfig,
  schedulerFromConfig,
} from './from-config.js';
export { HeunDiscreteScheduler } from './heun.js';
export { IPNDMScheduler } from './ipndm.js';
export { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler } from './kdpm2.js';
export { LCMScheduler } from './lcm.js';
export { LMSDiscreteScheduler } from './lms.js';
export { SCHEDULER_NAMES, type SchedulerName } from './names.js';
export { PNDMScheduler } from './pndm.js';
export { TCDScheduler } from './tcd.js';
export { spacedTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './timesteps.js';
export {
  type BaseSchedulerConfig,
  type Churn,
  type Sampler,
  type Scheduler,
  type StepOptions,
  type StepResult,
  stepStarts,
} from './types.js';
export { UniPCMultistepScheduler } from './unipc.js';
