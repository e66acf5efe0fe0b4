/** What several commands ask of their options. */
import { InputError } from '../../src/errors.js';

/** @throws InputError for an option of these that is given and is no whole number above 0 */
export function requireWhole<Name extends string>(
  argv: Readonly<Partial<Record<Name, number>>>,
  names: readonly Name[],
): void {
  for (const name of names) {
    const value: number | undefined = argv[name];
    if (value !== undefined && !(Number.isInteger(value) && value > 0))
      throw new InputError(`${value} is not possible — --${name} — give a whole number from 1`);
  }
}
