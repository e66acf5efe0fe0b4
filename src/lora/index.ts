/** LoRA (Hu et al. 2021): small files that change a model's weights. */
export { checkLoraScale, type LoraFile, type LoraNetwork, type MergedLora, mergeLoras } from './merge.js';
export { type LoraComponent, LoraNames, type LoraTargets } from './names.js';
export { type LoraLayer, readLora } from './read.js';
