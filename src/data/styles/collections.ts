/** The collections of styles that `sumi dataset NAME` knows. */
import { InputError } from '../../errors.js';
import { characters } from './characters.js';
import { emoji } from './emoji.js';
import { shapes } from './shapes.js';
import type { StyleCollection } from './source.js';

export const COLLECTIONS: readonly StyleCollection[] = [characters, emoji, shapes];

/** @throws InputError when there is none of this name */
export function findCollection(name: string): StyleCollection {
  const found = COLLECTIONS.find((collection) => collection.name === name);
  if (found) return found;
  const names = COLLECTIONS.map((collection) => collection.name).join(', ');
  throw new InputError(`no such dataset: ${name} — sumi dataset — choose one of ${names}`);
}
