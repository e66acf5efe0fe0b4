/** Ways to pull a prediction towards its label or text, or a look: plain mathematics, one idea a file. */
export { classifierFree } from './classifier-free.js';
export { checkInterval, type GuidanceInterval, withinInterval } from './interval.js';
export { type Colour, PaletteTarget, paletteDistance } from './palette.js';
export {
  ProjectedGuidance,
  type ProjectedOptions,
  projectedDefaults,
  projectedOptions,
} from './projected.js';
export { checkRescale, rescaleGuidance } from './rescale.js';
export { type Scribble, ScribbleTarget } from './scribble.js';
export { gainAt, type Pull, stepLength, type Target } from './steering.js';
