import { expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { parseTrainConfig, planByMinutes } from '../../src/training/index.js';

/** A clock that says that a step takes so many seconds, however long it takes. */
function clockOf(secondsAStep: number): () => number {
  let [now, asked] = [0, 0];
  // It is asked before and after the three steps that are timed.
  return () => {
    if (asked++ % 2 === 1) now += 3 * secondsAStep;
    return now;
  };
}

it('takes the smallest network where time is short', async () => {
  const plan = await planByMinutes({ minutes: 10, size: 32, clock: clockOf(0.5) });
  expect(plan).toMatchObject({ preset: 'light', minutes: 10, pace: 0.5 });
  // 10 minutes less the autoencoder's 30 % and a twentieth for samples, 32 pictures a step.
  expect(plan.seen).toBe(Math.round(((10 * 60 * 0.7 * 0.95) / 0.5) * 32));
  const config = parseTrainConfig(plan.config, 'the plan');
  expect(config).toMatchObject({ preset: 'light', size: 32, diffusion: { batch_size: 32 } });
});

it('takes a larger one where it sees enough', async () => {
  const plan = await planByMinutes({ minutes: 600, size: 32, clock: clockOf(0.5) });
  // Not base, which is for larger pictures.
  expect(plan.preset).toBe('small');
  expect(plan.seen).toBe(Math.round(((600 * 60 * 0.7 * 0.95) / 0.5) * 64));
});

it('takes smaller pictures where time is short and no size is settled', async () => {
  const few = await planByMinutes({ minutes: 10, clock: clockOf(0.5) });
  expect(few).toMatchObject({ preset: 'light', size: 32, config: { size: 32 } });
  const more = await planByMinutes({ minutes: 30, clock: clockOf(0.5) });
  expect(more).toMatchObject({ preset: 'light', size: 64, config: { size: 64 } });
});

it('refuses a size that no network has', async () => {
  await expect(planByMinutes({ minutes: 5, size: 30 })).rejects.toThrow(InputError);
  await expect(planByMinutes({ minutes: 5, size: 30 })).rejects.toThrow(
    /size 30×30 does not halve 2 times — --minutes 5/,
  );
});
