export { type AverageOptions, type AverageResult, averageRun } from './average.js';
export {
  type DiffusionStage,
  parseTrainConfig,
  presetConfig,
  presets,
  type TrainConfig,
  type TrainConfigInput,
} from './config.js';
export { type DistillOptions, distill } from './distill.js';
export { type DistillConfig, parseDistillConfig } from './distill-config.js';
export { settingsOf } from './from-model.js';
export { type LoopOptions, runStage, type StepReport } from './loop.js';
export { type Plan, type PlanOptions, planByMinutes } from './plan.js';
export { type RefineOptions, trainRefinerOf } from './refine.js';
export { parseRefineConfig, type RefineConfig } from './refine-config.js';
export { freshVectors, type LossFunction, TrainStep, type TrainVectors } from './step.js';
export {
  override,
  type ResumeOptions,
  resumeTraining,
  type StageName,
  type TrainOptions,
  type TrainResult,
  train,
} from './train.js';
