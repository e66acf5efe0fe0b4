/** Several labels in one picture: the network predicts for each, and the weighted mean counts (Liu et al. 2022). */
import { InputError } from '../errors.js';
import type { Condition, Denoiser } from './denoise.js';

/** A label and its share of the prediction; the shares of a blend are 1 together. */
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

/**
 * Predicts for blends too.
 * @param make a denoiser for one label; each of a blend's has its own, since guidance may remember its steps
 */
export function blending(make: () => Pick<Denoiser, 'predict'>): Pick<Denoiser, 'predict'> {
  const made: Pick<Denoiser, 'predict'>[] = [make()];
  return {
    predict: async (sample, size, timestep, { blend, ...condition }: Condition) => {
      if (!blend) return made[0].predict(sample, size, timestep, condition);
      const mean = new Float32Array(sample.length);
      for (const [k, { label, weight }] of blend.entries()) {
        made[k] ??= make();
        const one = await made[k].predict(sample, size, timestep, { ...condition, label });
        for (let i = 0; i < mean.length; i++) mean[i] += weight * one[i];
      }
      return mean;
    },
  };
}
