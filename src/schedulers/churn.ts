/** Noise that a step adds before it goes down (Karras et al. 2022, algorithm 2, lines 4 to 6). */
import { InputError } from '../errors.js';
import { combine, drawNoise } from './combine.js';
import type { Churn, Sampler, StepOptions } from './types.js';

/** A step goes back up by no more than this part of its level (the same, line 4). */
const MOST = Math.SQRT2 - 1;

/** @throws InputError for values that make no sense */
export function checkChurn({ amount, min = 0, max = Infinity, noise = 1 }: Churn): void {
  const refuse = (what: number, key: string, range: string): never => {
    throw new InputError(`${what} is not possible — --s-${key} — give a number ${range}`);
  };
  if (!(amount >= 0 && amount < Infinity)) refuse(amount, 'churn', 'from 0');
  if (!(min >= 0)) refuse(min, 'tmin', 'from 0');
  if (!(max >= min)) refuse(max, 'tmax', 'of --s-tmin or more');
  if (!(noise >= 0 && noise < Infinity)) refuse(noise, 'noise', 'from 0, about 1');
}

/** Schedulers whose steps take it. */
const TAKERS = ['EulerDiscreteScheduler', 'EDMEulerScheduler'];

/** @throws InputError for values that make no sense, and for a scheduler that takes none */
export function requireChurn(scheduler: Sampler, churn: Churn): void {
  checkChurn(churn);
  const name = String(scheduler.toConfig()._class_name);
  if (TAKERS.includes(name)) return;
  throw new InputError(`${name} takes no churn — --s-churn — leave it out, or use --scheduler euler`);
}

/**
 * Where a step begins: at its level, or above it with noise that leads there.
 * @param sample x_0 + σ·ε
 * @param steps of the run
 * @throws InputError for values that make no sense, and where noise is needed and missing
 */
export function churned(
  sample: Float32Array,
  sigma: number,
  steps: number,
  options: StepOptions,
): { sample: Float32Array; sigma: number } {
  if (!options.churn) return { sample, sigma };
  checkChurn(options.churn);
  const { amount, min = 0, max = Infinity, noise = 1 } = options.churn;
  const gamma = sigma >= min && sigma <= max ? Math.min(amount / steps, MOST) : 0;
  if (gamma === 0) return { sample, sigma };
  const raised = sigma * (1 + gamma);
  const added = noise * Math.sqrt(raised ** 2 - sigma ** 2);
  return { sample: combine([1, sample], [added, drawNoise(options, sample)]), sigma: raised };
}
