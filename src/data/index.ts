export { type AugmentOptions, augmentInto, checkAugment } from './augment.js';
export { type Batch, Batches, type BatchOptions, BatchOrder } from './batches.js';
export {
  type Dataset,
  type DatasetOptions,
  floatPictures,
  openDataset,
  pictureAt,
  type Skipped,
} from './dataset.js';
export { PICTURE_EXTENSIONS, type PictureEntry, type Scan, scanDataset } from './scan.js';
export * from './styles/index.js';
