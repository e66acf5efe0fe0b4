export { COLLECTIONS, findCollection } from './collections.js';
export { makeStyleDataset, type StyleDataset, type StyleDatasetOptions } from './make.js';
export { COLLECTION_NAMES, type CollectionName } from './names.js';
export type { Licence, StyleCollection, StyleSource } from './source.js';
