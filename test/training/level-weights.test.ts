/** Weights of the loss by noise level that are learned. */
import { expect, it } from 'vitest';
import { type Scalar, tf } from '../../src/engine/tf.js';
import { LEVELS, levelLoss, levelSpec, levelsOf } from '../../src/training/level-weights.js';
import { defaultOptimizer, freshVectors, TrainStep } from '../../src/training/step.js';

it('levels are shares of the two nearest entries', () => {
  const levels = levelsOf(Float64Array.of(0, 0.5, 0.999999, 1));
  const rows = [0, 1, 2, 3].map((i) => [...levels.subarray(i * LEVELS, (i + 1) * LEVELS)]);
  for (const row of rows) expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
  expect(rows[0][0]).toBe(1);
  expect(rows[3][LEVELS - 1]).toBe(1);
  expect([rows[1][7], rows[1][8]]).toEqual([0.5, 0.5]);
  // Times are where the rows say: their mean position is the time.
  expect(rows[2].reduce((sum, share, k) => sum + (share * k) / (LEVELS - 1), 0)).toBeCloseTo(0.999999, 5);
});

it('learns the logarithm of the error at each level, where the loss is 1 + u', async () => {
  const times = Float64Array.from({ length: LEVELS }, (_, k) => k / (LEVELS - 1));
  const errors = Float32Array.from(times, (t) => Math.exp(-4 + 3 * t));
  const vectors = freshVectors(new Float32Array(LEVELS));
  const trainer = new TrainStep(
    [levelSpec],
    (params, { levels, errors: each }) => ({ loss: tf.mean(levelLoss(params, levels, each)) as Scalar }),
    vectors,
    { ...defaultOptimizer, beta2: 0.99 },
    { threads: 1 },
  );
  const batch = {
    levels: { data: levelsOf(times), shape: [LEVELS, LEVELS], dtype: 'float32' as const },
    errors: { data: errors, shape: [LEVELS], dtype: 'float32' as const },
  };
  const first = await trainer.run(batch, 1, 0, 0);
  const mean = (values: Float32Array) => values.reduce((a, b) => a + b) / values.length;
  expect(first.loss).toBeCloseTo(mean(errors), 5);
  let loss = 0;
  for (let step = 2; step <= 800; step++) {
    const rate = 1e-3 * Math.min(1, (800 - step) / 400);
    ({ loss } = await trainer.run(batch, step, rate, 0));
  }
  const u = (await trainer.read()).params.map((p) => p * 32);
  for (const [k, error] of errors.entries()) expect(u[k]).toBeCloseTo(Math.log(error), 1);
  expect(loss).toBeCloseTo(1 + mean(errors.map(Math.log)), 2);
  await trainer.dispose();
});
