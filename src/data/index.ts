export { type AugmentOptions, augmentInto, checkAugment } from './augment.js';
export { type Batch, Batches, type BatchOptions, BatchOrder, BucketOrder } from './batches.js';
export { type Buckets, bucketSizes } from './buckets.js';
export {
  byShape,
  bytesAt,
  type Dataset,
  type DatasetOptions,
  floatPictures,
  mostFrequentShape,
  openDataset,
  pictureAt,
  type Skipped,
  sizeAt,
} from './dataset.js';
export { PICTURE_EXTENSIONS, type PictureEntry, type Scan, scanDataset } from './scan.js';
export * from './styles/index.js';
