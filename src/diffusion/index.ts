export {
  BETA_SCHEDULES,
  type BetaConfig,
  type BetaSchedule,
  FORWARD_PROCESS,
  makeBetas,
  rescaleZeroTerminalSnr,
} from './betas.js';
export { EDM_PREDICTION, edmSample } from './edm.js';
export { flowSample } from './flow.js';
export {
  addNoise,
  alphaProdsAt,
  cumulativeAlphas,
  type NoiseCoefficients,
  noiseCoefficients,
  snr,
  velocity,
} from './noising.js';
export {
  type ConversionCoefficients,
  conversionCoefficients,
  convertPrediction,
  type DiffusionPrediction,
  FLOW_PREDICTION,
  PREDICTION_TYPES,
  type PredictionType,
} from './prediction.js';
export { trainingTarget } from './target.js';
export { lossWeights } from './weighting.js';
