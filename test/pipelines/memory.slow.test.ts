/** Drawing holds its memory: 200 pictures of the shipped model, in all ways that keep something from step to step. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tf } from '../../src/engine/tf.js';
import { DiffusionPipeline, type GenerateOptions } from '../../src/pipelines/index.js';

let pipeline: DiffusionPipeline;
beforeAll(async () => {
  pipeline = await DiffusionPipeline.fromPretrained('characters');
});
afterAll(() => pipeline.dispose());

it.each<[string, GenerateOptions]>([
  ['one by one', {}],
  ['in batches', { batchSize: 4 }],
  ['with deep features kept', { cacheInterval: 3 }],
  ['under guidance that remembers', { apg: {}, rng: 'torch', eta: 1 }],
])('does not grow over 200 pictures %s', async (_, options) => {
  const seen: { mib: number; tensors: number }[] = [];
  for (let turn = 0; turn < 10; turn++) {
    await pipeline.generate({ count: 20, seed: turn * 20, steps: 6, ...options });
    seen.push({ mib: process.memoryUsage.rss() / 2 ** 20, tensors: tf.memory().numTensors });
  }
  if (process.env.SUMI_SHOW_ERRORS) console.log(seen);
  // The sessions are made in the first turn; garbage comes and goes.
  const [settled, last] = [seen[2], seen[9]];
  expect(last.tensors).toBe(settled.tensors);
  expect(last.mib - settled.mib).toBeLessThan(60);
});
