export { COLLECTIONS, findCollection } from './collections.js';
export { makeStyleDataset, type StyleDataset, type StyleDatasetOptions } from './make.js';
export type { Licence, StyleCollection, StyleSource } from './source.js';
