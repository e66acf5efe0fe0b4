export { Codec } from './codec.js';
export { checkSeed } from './conditions.js';
export { type Condition, Denoiser, denoise, requireFinite } from './denoise.js';
export {
  DiffusionPipeline,
  type FinishOptions,
  type GeneratedPicture,
  type GenerateOptions,
  type PipelineOptions,
  type PlannedPicture,
  type PlanOptions,
  type PromptOptions,
  type SamplingOptions,
  type StepProgress,
} from './diffusion-pipeline.js';
export { checkGuidance, type GuidanceOptions, GuidedDenoiser } from './guided.js';
export { type Img2ImgOptions, img2img, startingStep } from './img2img.js';
export {
  INPAINT_METHODS,
  type InpaintedPicture,
  type InpaintMethod,
  type InpaintOptions,
  inpaint,
  inpaintDefaults,
  inpaintDefaultsOf,
} from './inpaint.js';
export { type InterpolatedPicture, type InterpolateOptions, interpolate } from './interpolate.js';
export { etaOf, type LookOptions, PALETTE_STRENGTH, SCRIBBLE_STRENGTH } from './looks.js';
export { DEFAULT_MODEL, findModel, type LoadedModel, loadModel, shippedModels } from './model.js';
export { betweenNoises, checkVary, type DrawNoise, noiseOf, RNGS, type Rng } from './noise.js';
export { type PaintOptions, paint } from './paint.js';
export type { PaintMask } from './paint-mask.js';
export { BLENDS, type Blend, INPAINT_AREAS, type InpaintArea, type Region } from './region.js';
export { type Move, repaintSchedule } from './repaint.js';
export type { GenerationEvent, PictureDone, StepDone } from './steps.js';
export { CACHE_BRANCH, type SpeedOptions } from './together.js';
