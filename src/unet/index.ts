/** The networks that predict: diffusers' UNet2DModel and UNet2DConditionModel, and the classic U-Net for segmentation. */
export { isBuffer } from './batchnorm.js';
export type { Cut, CutResult } from './body.js';
export {
  type ClassicUNetConfig,
  type ClassicUNetInput,
  type ClassicUNetResult,
  classicUNet,
  classicUNetSpecs,
  parseClassicUNetConfig,
} from './classic.js';
export {
  CONDITION_CLASS_NAME,
  contextChannels,
  parseUNet2DConditionConfig,
  type UNet2DConditionConfig,
  type UNet2DConditionInput,
} from './condition-config.js';
export { parseUNet2DConfig, UNET2D_CLASS_NAME, type UNet2DConfig, type UNet2DConfigInput } from './config.js';
export {
  fillingChannels,
  fillsIn,
  openUNet,
  type UNetInputs,
  type UNetNetwork,
  unet2dConditionNetwork,
  unet2dNetwork,
} from './network.js';
export {
  type ClassLabels,
  checkTimesteps,
  isClassConditional,
  unet2d,
  unet2dCut,
  unet2dSpecs,
} from './unet2d.js';
export { unet2dCondition, unet2dConditionCut, unet2dConditionSpecs } from './unet2d-condition.js';
