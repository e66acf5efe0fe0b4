/** Ways to pull a prediction towards its label or text: plain mathematics, one paper a file. */
export { classifierFree } from './classifier-free.js';
export { checkInterval, type GuidanceInterval, withinInterval } from './interval.js';
export {
  ProjectedGuidance,
  type ProjectedOptions,
  projectedDefaults,
  projectedOptions,
} from './projected.js';
export { checkRescale, rescaleGuidance } from './rescale.js';
