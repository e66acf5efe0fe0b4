import { type ParamSpec, viewParams } from '../engine/params.js';
import type { Feed } from '../engine/session.js';

/** Weights, or some of them, as the constants of a compiled function. */
export function asConstants(
  specs: readonly ParamSpec[],
  flat: Float32Array,
  wanted: (name: string) => boolean = () => true,
): Record<string, Feed> {
  const views = viewParams(specs, flat);
  const chosen = specs.filter(({ name }) => wanted(name));
  return Object.fromEntries(
    chosen.map(({ name, shape }) => [name, { data: views[name], shape, dtype: 'float32' as const }]),
  );
}
