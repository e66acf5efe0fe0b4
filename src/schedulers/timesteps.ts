/** Which training timesteps sampling visits (Lin et al. 2024, "Common diffusion noise schedules …", table 2). */
import { InputError } from '../errors.js';

export const TIMESTEP_SPACINGS = ['linspace', 'leading', 'trailing'] as const;
export type TimestepSpacing = (typeof TIMESTEP_SPACINGS)[number];

interface SpacingConfig {
  num_train_timesteps: number;
  timestep_spacing: TimestepSpacing;
  steps_offset: number;
}

/**
 * The timesteps of `n` steps of sampling, falling.
 * - `linspace`: equally spaced from T-1 to 0, both included;
 * - `leading`: multiples of floor(T/n) from 0 on, plus `steps_offset`; it misses the noisiest timesteps;
 * - `trailing`: T-1 and down in steps of T/n; it misses the cleanest ones.
 * @param n 1 … T
 * @throws InputError when n is not such an integer, or `steps_offset` pushes a timestep out of the schedule
 */
export function spacedTimesteps(config: SpacingConfig, n: number): number[] {
  const { num_train_timesteps: T, timestep_spacing, steps_offset } = config;
  checkStepCount(n, T);
  const indices = Array.from({ length: n }, (_, i) => i);
  switch (timestep_spacing) {
    case 'linspace':
      return indices.map((i) => roundHalfEven(linspaceAt(T - 1, n, i))).reverse();
    case 'leading': {
      const ratio = Math.floor(T / n);
      const timesteps = indices.map((i) => i * ratio + steps_offset).reverse();
      if (timesteps[0] < T) return timesteps;
      throw new InputError(
        `${n} steps with steps_offset ${steps_offset} reach timestep ${timesteps[0]} of ${T} — setTimesteps — take fewer steps`,
      );
    }
    case 'trailing': {
      const step = T - T / n - T; // rounded as NumPy's arange does it, which decides some halves
      return indices.map((i) => roundHalfEven(T + i * step) - 1);
    }
  }
}

/**
 * Checks timesteps chosen by hand.
 * @throws InputError unless they are integers of the schedule, strictly falling, at least one
 */
export function checkCustomTimesteps(timesteps: readonly number[], numTrainTimesteps: number): number[] {
  const bad = timesteps.findIndex(
    (t, i) => !Number.isInteger(t) || t < 0 || t >= numTrainTimesteps || (i > 0 && t >= timesteps[i - 1]),
  );
  if (timesteps.length > 0 && bad < 0) return [...timesteps];
  const what = timesteps.length === 0 ? 'no timesteps' : `timesteps[${bad}] is ${timesteps[bad]}`;
  throw new InputError(
    `${what} — setTimesteps — give falling integers from ${numTrainTimesteps - 1} to 0, one at least`,
  );
}

/** @throws InputError unless `n` is an integer from 1 to the number of training timesteps */
export function checkStepCount(n: number, numTrainTimesteps: number): void {
  if (!Number.isInteger(n) || n < 1 || n > numTrainTimesteps)
    throw new InputError(`${n} steps — setTimesteps — give an integer from 1 to ${numTrainTimesteps}`);
}

/**
 * For schedules whose timesteps cannot be chosen.
 * @param under the setting that rules it out, if it is not the scheduler itself
 * @throws InputError unless `steps` is a number
 */
export function requireNumber(
  steps: number | readonly number[],
  where: string,
  under?: string,
): asserts steps is number {
  if (typeof steps === 'number') return;
  const why = under === undefined ? '' : ` under ${under}`;
  throw new InputError(`timesteps cannot be chosen${why} — ${where} — give a number`);
}

/** @throws InputError unless `timestep` is an integer of the schedule */
export function checkTimestep(timestep: number, numTrainTimesteps: number): void {
  if (!Number.isInteger(timestep) || timestep < 0 || timestep >= numTrainTimesteps)
    throw new InputError(
      `timestep ${timestep} is outside the schedule — scheduler — give an integer from 0 to ${numTrainTimesteps - 1}`,
    );
}

/** @throws InputError unless `timestep`, which may be fractional, is within the schedule */
export function checkTimestepRange(timestep: number, numTrainTimesteps: number): void {
  if (!(timestep >= 0 && timestep <= numTrainTimesteps - 1))
    throw new InputError(
      `timestep ${timestep} is outside the schedule — scheduler — give a number from 0 to ${numTrainTimesteps - 1}`,
    );
}

/** The i-th of `n` equally spaced numbers from 0 to `end`, both included. */
export function linspaceAt(end: number, n: number, i: number): number {
  if (n === 1) return 0;
  return i === n - 1 ? end : i * (end / (n - 1));
}

/** Halves go to the even neighbour, as NumPy and IEEE 754 have it, so that timesteps match diffusers'. */
export function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
