/** Several labels in one picture: they take turns, step by step. */
import { InputError } from '../errors.js';
import type { Condition, Denoiser } from './denoise.js';

/** A label and its share of the steps; the shares of a blend are 1 together. */
export interface BlendPart {
  readonly label: number;
  readonly weight: number;
}

/**
 * Reads `micah+emoji` or, weighed, `micah:2+emoji`.
 * @param indexOf index of a label of the model's; throws InputError for another
 * @param option that gave it, for messages
 * @returns null for a label without a plus
 * @throws InputError for parts that are no labels or weights that are no numbers above 0
 */
export function parseBlend(
  text: string,
  indexOf: (label: string) => number,
  option: string,
): BlendPart[] | null {
  if (!text.includes('+')) return null;
  const parts = text.split('+').map((part) => {
    const [, name, given = '1'] = /^\s*(.*?)(?::([^:]*))?\s*$/.exec(part) as RegExpExecArray;
    const weight = Number(given);
    if (!(weight > 0 && Number.isFinite(weight)) || name === '')
      throw new InputError(
        `"${part}" is no label with a weight above 0 — ${option} ${text} — give, say, one:2+other`,
      );
    return { label: indexOf(name), weight };
  });
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  return parts.map(({ label, weight }) => ({ label, weight: weight / total }));
}

/** From this share of the steps on, a blend's first label has all of them. */
const LAST_STEPS = 0.75;

/**
 * Predicts for blends too: at each step for one of its labels, in turns by their weights, and at last for the first. The mean
 * of their predictions would be of two pictures at once, and a blur of both.
 * @param make a denoiser for one label; each of a blend's has its own, since guidance may remember its steps
 * @param timesteps that are visited
 */
export function blending(
  make: () => Pick<Denoiser, 'predict'>,
  timesteps: readonly number[],
): Pick<Denoiser, 'predict'> {
  const made: Pick<Denoiser, 'predict'>[] = [make()];
  let owed: number[] = [];
  const turn = (blend: readonly BlendPart[], timestep: number): number => {
    if (timesteps.lastIndexOf(timestep) >= LAST_STEPS * timesteps.length) return 0;
    owed = blend.map(({ weight }, k) => (owed[k] ?? 0) + weight);
    const next = owed.indexOf(Math.max(...owed));
    owed[next] -= 1;
    return next;
  };
  return {
    predict: (sample, size, timestep, { blend, ...condition }: Condition) => {
      const k = blend ? turn(blend, timestep) : 0;
      made[k] ??= make();
      return made[k].predict(
        sample,
        size,
        timestep,
        blend ? { ...condition, label: blend[k].label } : condition,
      );
    },
  };
}
