export {
  type DiffusionStage,
  parseTrainConfig,
  presetConfig,
  presets,
  type TrainConfig,
  type TrainConfigInput,
} from './config.js';
export { settingsOf } from './from-model.js';
export { type LoopOptions, runStage, type StepReport } from './loop.js';
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
