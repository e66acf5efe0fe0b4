export { type EvaluateOptions, evaluatePictures, LEAST_PICTURES } from './evaluate.js';
export type { LabelFigures, Memorisation, Pair, PictureEvaluation } from './evaluation.js';
export { type Activations, Extractor, type ExtractorIdentity, type Matrix } from './extractor.js';
export { extrapolatedDistance, Frechet, frechetDistance } from './frechet.js';
export { type Estimate, kernelDistance } from './kid.js';
export { type Overlap, overlap } from './manifold.js';
export { perceptualDistance, psnr, ssim } from './perceptual.js';
export { generatedSet, type PictureSet, type ReadOptions, readPictureSet } from './picture-set.js';
export { type ReportFiles, writeReport } from './report.js';
