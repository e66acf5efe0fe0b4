export * from './animate.js';
export {
  type DecodeOptions,
  decodeFloat,
  decodeRgb,
  FITS,
  type Fit,
  MAX_PIXELS,
  sizeOfPicture,
} from './decode.js';
export * from './encode.js';
export { contactSheet, escapeXml, type GridOptions } from './grid.js';
export { type Mask, type MaskOptions, maskStatistics, readMask } from './mask.js';
export * from './picture.js';
