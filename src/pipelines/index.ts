export { type Condition, Denoiser, denoise, requireFinite } from './denoise.js';
export {
  checkSeed,
  DiffusionPipeline,
  type GeneratedPicture,
  type GenerateOptions,
  type PipelineOptions,
  type SamplingOptions,
  type StepProgress,
} from './diffusion-pipeline.js';
export {
  INPAINT_METHODS,
  type InpaintMethod,
  type InpaintOptions,
  inpaint,
  inpaintDefaults,
  repaintSchedule,
} from './inpaint.js';
export { Codec, DEFAULT_MODEL, findModel, type LoadedModel, loadModel, shippedModels } from './model.js';
