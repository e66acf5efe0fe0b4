/** Pictures that are held back from training, and what their loss tells. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { makeStyleDataset } from '../../src/data/index.js';
import { overfitting } from '../../src/doctor/overfitting.js';
import type { ParamSpec } from '../../src/engine/params.js';
import { type Scalar, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import { Alarm } from '../../src/training/alarm.js';
import { HeldBackLoss, holdBack, measuredRows } from '../../src/training/held-back.js';
import { parseTrainConfig, presetConfig, resumeTraining, train } from '../../src/training/index.js';
import { temporaryFolder } from '../pipelines/tiny.js';

const at = temporaryFolder();

const dataset = (count: number) => ({ count, labels: [], labelIds: new Int32Array(count).fill(-1) });

describe('what is held back', () => {
  it.each([
    [20, 0.05, 0],
    [159, 0.05, 0],
    [160, 0.05, 8],
    [1000, 0, 0],
    [1000, 0.05, 50],
    [12000, 0.05, 256],
    [20, 0.5, 10],
  ])('of %i pictures at a share of %f are %i', (count, share, expected) => {
    const { trained, held } = holdBack(dataset(count), share, 3, true);
    expect(held.length).toBe(expected);
    const all = [...trained, ...held].sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(trained).toEqual(trained.slice().sort());
    expect(holdBack(dataset(count), share, 3, true).held).toEqual(held);
    if (expected > 0) expect(holdBack(dataset(count), share, 4, true).held).not.toEqual(held);
  });

  it('leaves each label a picture, unless labels are texts', () => {
    const labels = Array.from({ length: 30 }, (_, i) => String(i));
    const few = { count: 40, labels, labelIds: Int32Array.from({ length: 40 }, (_, i) => i % 30) };
    for (const seed of [1, 2, 3]) {
      const { trained, held } = holdBack(few, 0.25, seed, true);
      expect(new Set([...trained].map((i) => few.labelIds[i])).size).toBe(30);
      expect(held.length).toBe(10);
    }
    const { trained } = holdBack(few, 0.5, 1, false);
    expect(new Set([...trained].map((i) => few.labelIds[i])).size).toBeLessThan(30);
  });

  it('is measured with as many rows of training pictures, each picture about as often', () => {
    const split = holdBack(dataset(1000), 0.05, 1, true);
    const { trained, held } = measuredRows(split, [...split.held, ...split.trained]);
    expect([trained.length, held.length]).toEqual([64, 64]);
    expect(new Set(held).size).toBe(50);
    expect(new Set(trained).size).toBe(50);
    expect(trained.filter((i) => split.held.includes(i))).toEqual([]);
    const many = holdBack(dataset(12000), 0.05, 1, true);
    expect(measuredRows(many, [...many.held, ...many.trained]).held.length).toBe(256);
  });
});

it.each([1, 3, 64])(
  'the loss of both sets is their mean, in batches that a step of %i has room for',
  async (most) => {
    const specs: ParamSpec[] = [{ name: 'w', shape: [3], init: { constant: 0 } }];
    const loss = ({ w }: Record<string, tf.Tensor>, { x }: Record<string, tf.Tensor>) => ({
      loss: tf.mean(tf.square(tf.sub(x, w))) as Scalar,
    });
    const x = (seed: number) => {
      const data = Float32Array.from(new Random(seed).normal(64 * 3));
      return { x: { data, shape: [64, 3], dtype: 'float32' as const } };
    };
    const w = Float32Array.of(0.5, -1, 2);
    const by = ({ x: { data } }: ReturnType<typeof x>) =>
      data.reduce((sum, v, i) => sum + (v - w[i % 3]) ** 2, 0) / data.length;
    const measure = new HeldBackLoss(specs, loss, x(1), x(2), most, {});
    const found = await measure.measure(w);
    expect(found.held_back_loss).toBeCloseTo(by(x(1)), 4);
    expect(found.train_loss).toBeCloseTo(by(x(2)), 4);
    await measure.dispose();
  },
);

describe('overfitting', () => {
  const lines = (held: number[], trained: number[]) =>
    held.map((held_back_loss, i) => ({ step: 100 * (i + 1), held_back_loss, train_loss: trained[i] }));

  it('is a held-back loss that rises for three checkpoints while the training loss falls', () => {
    const run = lines([0.5, 0.3, 0.2, 0.21, 0.22, 0.23], [0.5, 0.29, 0.18, 0.15, 0.12, 0.1]);
    expect(overfitting(run)?.what).toMatch(
      /^from step 300 to 600 the loss on held-back pictures has risen from 0.200 to 0.230 while .* fell from 0.180 to 0.100/,
    );
    expect(overfitting(run)?.todo).toMatch(/^train for about 300 steps/);
    // Lines of other measurements lie between.
    expect(overfitting(run.flatMap((line) => [line, { step: line.step, kid: 1 }]))).not.toBeNull();
    expect(overfitting(run.slice(0, 5))).toBeNull();
  });

  it.each([
    ['falls', [0.5, 0.4, 0.3, 0.2, 0.1]],
    ['stays', [0.5, 0.2, 0.202, 0.201, 0.203]],
    ['rises once', [0.5, 0.3, 0.2, 0.19, 0.25]],
    ['has come back', [0.5, 0.2, 0.25, 0.25, 0.201]],
  ])('is none where the held-back loss %s', (_, held) => {
    expect(overfitting(lines(held, [0.5, 0.3, 0.2, 0.1, 0.05]))).toBeNull();
  });

  it('is said once while a model is trained, and so are copies', () => {
    const notes: string[] = [];
    const alarm = new Alarm((line) => notes.push(line));
    const run = lines([0.2, 0.21, 0.22, 0.23, 0.24], [0.5, 0.4, 0.3, 0.2, 0.1]);
    alarm.look(run.slice(0, 3));
    expect(notes).toEqual([]);
    alarm.look(run.slice(0, 4));
    alarm.look(run);
    const copies = { memorised_share: 0.5, memorised_expected: 0.01, memorised_probability: 1e-9 };
    alarm.look([...run, { step: 500, ...copies }]);
    alarm.look([...run, { step: 500, ...copies }]);
    expect(notes).toEqual([
      expect.stringMatching(/^from step 100 to 400 .* by heart \(train for about 100 steps/),
      expect.stringMatching(/^50 % of the samples of step 500 are nearer .* \(look at them with sumi eval/),
    ]);
  });

  it('is none where both losses rise: that is another fault', () => {
    expect(overfitting(lines([0.5, 0.2, 0.3, 0.4, 0.5], [0.5, 0.2, 0.3, 0.4, 0.5]))).toBeNull();
  });
});

it('is measured at each checkpoint of a run, and the same when it goes on', async () => {
  await makeStyleDataset('shapes', { out: at('data'), size: 16, count: 10, seed: 1 });
  const preset = parseTrainConfig(presetConfig('tiny'), 'test');
  const diffusion = {
    ...preset.diffusion,
    model: { ...preset.diffusion.model, block_out_channels: [8, 16] },
    batch_size: 4,
    steps: 10,
    checkpoint_every: 2,
    held_back: 0.25,
  };
  const config = { ...preset, size: 8, diffusion, sampling: { ...preset.sampling, steps: 2 } };
  const notes: string[] = [];
  const onNote = (line: string) => notes.push(line);
  const figures = async (run: string): Promise<Record<string, number>[]> =>
    (await readFile(`${run}/metrics.jsonl`, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((line) => line.held_back_loss !== undefined);
  await train({ data: at('data'), out: at('whole'), config, onNote });
  const whole = await figures(at('whole'));
  expect(whole.map(({ step }) => step)).toEqual([2, 4, 6, 8, 10]);
  expect(notes).toContain('10 of 40 pictures are held back');
  expect(notes).toContainEqual(
    `step 4: loss ${whole[1].held_back_loss} on 10 held-back pictures, ${whole[1].train_loss} on training pictures`,
  );
  // The sets are like each other before anything is learned, and both are learned from here on.
  expect(whole[0].held_back_loss / whole[0].train_loss).toBeGreaterThan(0.7);
  expect(whole[0].held_back_loss / whole[0].train_loss).toBeLessThan(1.4);
  expect(whole[4].held_back_loss).toBeLessThan(whole[0].held_back_loss);
  const model = JSON.parse(await readFile(at('whole', 'model', 'sumi.json'), 'utf8'));
  expect(model.recipe.pictures).toBe(30);
  expect(await readFile(at('whole', 'loss.svg'), 'utf8')).toMatch(/training pictures.*held-back pictures/s);

  // A run that goes on measures the same.
  const controller = new AbortController();
  await train({
    data: at('data'),
    out: at('parts'),
    config,
    signal: controller.signal,
    onStep: ({ step }) => step === 5 && controller.abort(),
  });
  expect((await figures(at('parts'))).map(({ step }) => step)).toEqual([2, 4]);
  await resumeTraining({ run: at('parts') });
  expect(await figures(at('parts'))).toEqual(whole);
}, 120_000);
