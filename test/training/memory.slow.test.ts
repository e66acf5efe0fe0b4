/** A long training holds its memory: 2,000 steps of a small network. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeStyleDataset } from '../../src/data/index.js';
import { tf } from '../../src/engine/tf.js';
import { parseTrainConfig, presetConfig, train } from '../../src/training/index.js';

it('does not grow over 2,000 steps', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sumi-memory-'));
  const data = join(folder, 'shapes');
  await makeStyleDataset('shapes', { out: data, size: 16, count: 8, seed: 1 });
  const tiny = parseTrainConfig(presetConfig('tiny'), 'test');
  const config = {
    ...tiny,
    size: 8,
    augment: { ...tiny.augment, flip: true, shift: 1 },
    diffusion: {
      ...tiny.diffusion,
      model: { ...tiny.diffusion.model, block_out_channels: [16, 32] },
      steps: 2000,
      checkpoint_every: 200,
    },
  };
  const seen: { mib: number; tensors: number }[] = [];
  try {
    await train({
      data,
      out: join(folder, 'run'),
      config,
      onStep: ({ step }) => {
        if (step % 100) return;
        seen.push({ mib: process.memoryUsage.rss() / 2 ** 20, tensors: tf.memory().numTensors });
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  if (process.env.SUMI_SHOW_ERRORS) console.log(seen);
  expect(seen.length).toBe(20);
  // The first states, sheets and collections of garbage are over by step 300.
  const [settled, last] = [seen[2], seen[19]];
  expect(last.tensors).toBe(settled.tensors);
  expect(last.mib - settled.mib).toBeLessThan(100);
});

it('takes little more memory than the values of a step need at least', () => {
  const script = new URL('./step-memory.ts', import.meta.url).pathname;
  const { grown, needed } = JSON.parse(
    execFileSync(process.execPath, ['--import', 'tsx', script], { encoding: 'utf8' }),
  );
  if (process.env.SUMI_SHOW_ERRORS) console.log({ grown, needed });
  expect(grown / needed).toBeLessThan(1.8);
  expect(grown / needed).toBeGreaterThan(0.5);
});
