/** Sumi's public surface: `import { DiffusionPipeline, DDIMScheduler, train } from 'sumi'`. */
export {
  type AutoencoderNetwork,
  autoencoderSpecs,
  decode,
  decodeTiny,
  decodeVQ,
  encode,
  encodeTiny,
  encodeVQ,
  openAutoencoder,
  packLatents,
  parseAutoencoderConfig,
  parseTinyConfig,
  parseVQConfig,
  tinySpecs,
  unpackLatents,
  vqLoss,
  vqSpecs,
} from './autoencoder/index.js';
export * from './checkpoint/index.js';
export {
  type Batch,
  Batches,
  type BatchOptions,
  type Dataset,
  type DatasetOptions,
  makeStyleDataset,
  openDataset,
} from './data/index.js';
export * from './diffusion/index.js';
export {
  type CheckpointExamination,
  examineCheckpoint,
  examineMachine,
  type Finding,
  type MachineReport,
} from './doctor/index.js';
export { Compiled, type CompileOptions, graphOf, type TensorFunction } from './engine/compile.js';
export { type Engine, engines, whyNot } from './engine/engines.js';
export {
  countParams,
  initParams,
  type ParamSpec,
  type Params,
  unflatten,
  viewParams,
} from './engine/params.js';
export { tf } from './engine/tf.js';
export { InputError, RunError } from './errors.js';
export * from './export/index.js';
export * from './guidance/index.js';
export { type AlphaPicture, decodeWithAlpha } from './image/alpha.js';
export { readPalette } from './image/colours.js';
export {
  contactSheet,
  decodeRgb,
  type Mask,
  type RgbPicture,
  readMask,
  readRecipe,
  writePng,
} from './image/index.js';
export { type LoraFile, type MergedLora, mergeLoras, readLora } from './lora/index.js';
export * from './metrics/index.js';
export * from './pipelines/index.js';
export { Random } from './random.js';
export * from './refiner/index.js';
export * from './schedulers/index.js';
export * from './segmentation/index.js';
export {
  ClipTokenizer,
  clipText,
  clipTextSpecs,
  parseClipTextConfig,
  readClipTokenizer,
} from './text/index.js';
export {
  type DistillConfig,
  type DistillOptions,
  distill,
  freshVectors,
  type LossFunction,
  type Plan,
  type PlanOptions,
  parseDistillConfig,
  parseRefineConfig,
  parseTrainConfig,
  planByMinutes,
  presetConfig,
  presets,
  type RefineConfig,
  type RefineOptions,
  type ResumeOptions,
  resumeTraining,
  type StepReport,
  settingsOf,
  type TrainConfig,
  type TrainOptions,
  type TrainResult,
  TrainStep,
  type TrainVectors,
  train,
  trainRefinerOf,
} from './training/index.js';
export {
  classicUNet,
  classicUNetSpecs,
  openUNet,
  parseClassicUNetConfig,
  parseUNet2DConditionConfig,
  parseUNet2DConfig,
  type UNetNetwork,
  unet2d,
  unet2dCondition,
  unet2dConditionSpecs,
  unet2dSpecs,
} from './unet/index.js';

import { unet2d } from './unet/index.js';

/** The time-conditioned network of diffusers' UNet2DModel, as a function of its configuration and parameters. */
export const UNet2D = unet2d;
