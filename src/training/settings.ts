/** Settings from a file and the command line, checked against a schema. */
import type { z } from 'zod';
import { InputError } from '../errors.js';

/**
 * @param where file or option they came from, for messages
 * @param guide document that lists the keys
 * @throws InputError naming the key that is unknown or out of range
 */
export function parseSettings<S extends z.ZodType>(
  schema: S,
  value: unknown,
  where: string,
  guide = 'docs/training.md',
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const key =
    issue.path.join('.') || (issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : 'the whole');
  throw new InputError(`${key}: ${issue.message} — ${where} — see ${guide} for the keys`);
}
