export { RENDERED, type RenderedDataset, type RenderedOptions, renderDataset } from './make.js';
export { RENDERED_NAMES, type RenderedName } from './names.js';
