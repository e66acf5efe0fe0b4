/** Segmentation by the classic U-Net: masks checked, models trained and put to work. */
export {
  type BatchOptions,
  type PredictedPicture,
  type PredictReport,
  type PredictTask,
  predictPictures,
  predictTasks,
} from './batch.js';
export { type Change, changeOverlay, compareLabels, type Transition } from './change.js';
export { type ClassTable, readClasses, type SegmentClass } from './classes.js';
export { parseSegmentConfig, type SegmentConfig, type SegmentConfigInput } from './config.js';
export { contoursGeoJson, contoursSvg, instancePolygons } from './contours.js';
export { type CutoutOptions, cutOut, foregroundColours } from './cutout.js';
export { EXAMPLES, type ExampleOptions, type ExampleResult, runExample } from './examples.js';
export { type Clip, openClip } from './frames.js';
export { growMask } from './grow.js';
export { findInstances, type Instance, type Instances, instancesCsv } from './instances.js';
export { type LintFinding, type LintReport, lintLines, lintPairs } from './lint.js';
export { encodeMask, type LabelMap } from './masks.js';
export type { Measurement } from './measuring.js';
export { type ClassScores, type Evaluation, evaluate, scoresOf } from './metrics.js';
export { readSegmentModel, type SegmentModel, writeSegmentModel } from './model.js';
export { OUTPUTS, type Output, outputFiles, writeOutputs } from './outputs.js';
export { overlay, segmentSheet } from './overlay.js';
export { findPairs, GROUPINGS, type Grouping } from './pairs.js';
export { foregroundOf, type Prediction, type PredictOptions, predictFile } from './predict.js';
export { connectedRegions, distanceTransform, splitTouching } from './regions.js';
export { mostProbable, type Probabilities, Segmenter, type TileOptions } from './segmenter.js';
export { type Track, Tracker, type TrackOptions, tracksCsv } from './tracks.js';
export {
  checkMasks,
  resumeSegmenter,
  type SegmentResumeOptions,
  type SegmentTrainOptions,
  type SegmentTrainResult,
  trainSegmenter,
} from './train.js';
export { Evaluator } from './truth.js';
export { predictVideo, type VideoOptions, type VideoReport } from './video.js';
