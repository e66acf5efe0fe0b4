/** The collections of styles that `sumi dataset NAME` knows. */
import { InputError } from '../../errors.js';
import { characters } from './characters.js';
import { emoji } from './emoji.js';
import { COLLECTION_NAMES, type CollectionName } from './names.js';
import { shapes } from './shapes.js';
import type { StyleCollection } from './source.js';

export const COLLECTIONS: Readonly<Record<CollectionName, StyleCollection>> = { characters, emoji, shapes };

/** @throws InputError when there is none of this name */
export function findCollection(name: string): StyleCollection {
  const known = COLLECTION_NAMES.find((candidate) => candidate === name);
  if (known) return COLLECTIONS[known];
  throw new InputError(
    `no such dataset: ${name} — sumi dataset — choose one of ${COLLECTION_NAMES.join(', ')}`,
  );
}
