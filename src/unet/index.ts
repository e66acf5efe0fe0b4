/** The networks that predict: diffusers' UNet2DModel, and the classic U-Net for segmentation. */
export {
  type ClassicUNetConfig,
  type ClassicUNetInput,
  type ClassicUNetResult,
  classicUNet,
  classicUNetSpecs,
  parseClassicUNetConfig,
} from './classic.js';
export { parseUNet2DConfig, UNET2D_CLASS_NAME, type UNet2DConfig, type UNet2DConfigInput } from './config.js';
export { type ClassLabels, checkTimesteps, isClassConditional, unet2d, unet2dSpecs } from './unet2d.js';
