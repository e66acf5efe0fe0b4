import { z } from 'zod';
import { InputError } from '../errors.js';

/** Pixels per side: one number for squares, or [height, width]. */
export type SampleSize = number | readonly [number, number];

/** Zod pieces that the networks' configs share. */
export const positive = z.number().int().min(1);
export const sizeSchema = z.union([positive, z.tuple([positive, positive])]);

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((v, key) => (v as Record<PropertyKey, unknown> | undefined)?.[key], root);
}

/**
 * Checks a diffusers config (parsed JSON) against its schema. Keys that begin with "_" are diffusers' own notes
 * and are dropped, but `_class_name`, where present, must be `className`.
 * @param where the file or option the config came from, for messages
 * @throws InputError naming the key and its value
 */
export function parseConfig<S extends z.ZodType>(
  schema: S,
  value: unknown,
  className: string,
  where: string,
): z.output<S> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`not a model config — ${where} — give a JSON object with ${className}'s keys`);
  }
  const named = (value as { _class_name?: unknown })._class_name;
  if (named !== undefined && named !== className) {
    throw new InputError(`a config of ${String(named)}, not ${className} — ${where} — give ${className}'s`);
  }
  const own = Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith('_')));
  const result = schema.safeParse(own);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue.code === 'unrecognized_keys') {
    throw new InputError(`unknown key "${issue.keys[0]}" — ${where} — remove it or mend its spelling`);
  }
  const got = valueAt(own, issue.path);
  const key = issue.path.map(String).join('.');
  const shown = got === undefined ? 'missing' : JSON.stringify(got);
  throw new InputError(`unsupported ${key}: ${shown} — ${where} — ${issue.message}`);
}

/**
 * Checks that every level of a network halves evenly.
 * @throws InputError saying which sizes work
 */
export function checkSize(height: number, width: number, levels: number, where: string): void {
  const factor = 2 ** (levels - 1);
  const off = [height, width].find((side) => side % factor !== 0 || side < 1);
  if (off === undefined) return;
  const below = Math.floor(off / factor) * factor;
  const near = below > 0 ? `${below} or ${below + factor}` : `${factor}`;
  throw new InputError(
    `size ${height}×${width} does not halve ${levels - 1} times — ${where} — ` +
      `use multiples of ${factor}, for instance ${near}`,
  );
}

/**
 * Checks that there is a block of the way down and of the way up for each width, and that the size halves.
 * @throws InputError naming the key
 */
export function checkBlocks(
  config: {
    readonly block_out_channels: readonly number[];
    readonly down_block_types: readonly string[];
    readonly up_block_types: readonly string[];
    readonly sample_size: SampleSize | null;
  },
  where: string,
): void {
  const { block_out_channels: channels, sample_size: size } = config;
  for (const key of ['down_block_types', 'up_block_types'] as const) {
    if (config[key].length !== channels.length) {
      throw new InputError(
        `${key} has ${config[key].length} entries, block_out_channels ${channels.length} — ${where} — ` +
          'give one block type for each width',
      );
    }
  }
  if (size !== null) {
    const [h, w] = typeof size === 'number' ? [size, size] : size;
    checkSize(h, w, channels.length, where);
  }
}

/** @throws InputError when a width cannot be cut into `groups` equal groups */
export function checkGroups(key: string, groups: number, channels: readonly number[], where: string): void {
  const odd = channels.find((c) => c % groups !== 0);
  if (odd !== undefined) {
    throw new InputError(
      `${key} ${groups} does not divide ${odd} channels — ${where} — use a common divisor of block_out_channels`,
    );
  }
}
