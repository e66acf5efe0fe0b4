/** The loss against its formula, the norms' statistics, the scores, and tiles. */
import { describe, expect, it } from 'vitest';
import { initParams, unflatten } from '../../src/engine/params.js';
import { type Scalar, type Tensor4D, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import { IGNORED } from '../../src/segmentation/classes.js';
import { lossOfLogits } from '../../src/segmentation/loss.js';
import { countsOf, evaluate, meanDice, scoresOf } from '../../src/segmentation/metrics.js';
import type { SegmentModel } from '../../src/segmentation/model.js';
import { enlarge } from '../../src/segmentation/predict.js';
import { mostProbable, Segmenter, tileStarts, tileWeights } from '../../src/segmentation/segmenter.js';
import { measureStatistics, splitSpecs } from '../../src/segmentation/statistics.js';
import { classicUNet, classicUNetSpecs, parseClassicUNetConfig } from '../../src/unet/index.js';

describe('the loss', () => {
  const [n, c] = [6, 3];
  const logits = new Random(1).normal(n * c);
  const labels = [0, 1, 2, 2, IGNORED, 0];
  const target = new Float32Array(n * c);
  labels.forEach((label, i) => {
    if (label !== IGNORED) target[i * c + label] = 1;
  });
  const weights = [1, 2, 0.5];
  const value = (cross_entropy: number, dice: number) =>
    lossOfLogits(tf.tensor4d(logits, [1, 2, 3, c]), tf.tensor4d(target, [1, 2, 3, c]), {
      cross_entropy,
      dice,
      weights,
    }).loss.dataSync()[0];

  it('is the weighted cross-entropy and Dice’s, ignored pixels aside', () => {
    const probs = labels.map((_, i) => {
      const e = [0, 1, 2].map((k) => Math.exp(logits[i * c + k]));
      const sum = e.reduce((a, b) => a + b);
      return e.map((x) => x / sum);
    });
    let [entropy, total] = [0, 0];
    const [overlap, area] = [
      [0, 0, 0],
      [0, 0, 0],
    ];
    labels.forEach((label, i) => {
      if (label === IGNORED) return;
      entropy -= weights[label] * Math.log(probs[i][label]);
      total += weights[label];
      for (let k = 0; k < c; k++) {
        if (k === label) overlap[k] += probs[i][k];
        area[k] += probs[i][k] + (k === label ? 1 : 0);
      }
    });
    const dice = overlap.map((o, k) => (2 * o + 1) / (area[k] + 1)).reduce((a, b) => a + b) / c;
    expect(value(1, 0)).toBeCloseTo(entropy / total, 5);
    expect(value(0, 1)).toBeCloseTo(1 - dice, 5);
    expect(value(0.3, 0.7)).toBeCloseTo((0.3 * entropy) / total + 0.7 * (1 - dice), 5);
  });

  it('has the gradient of finite differences', () => {
    const f = (x: Tensor4D) =>
      lossOfLogits(x, tf.tensor4d(target, [1, 2, 3, c]), { cross_entropy: 1, dice: 1, weights })
        .loss as Scalar;
    const got = tf
      .grad((x) => f(x as Tensor4D))(tf.tensor4d(logits, [1, 2, 3, c]))
      .dataSync();
    for (const i of [0, 4, 8, 13]) {
      const moved = (by: number) => {
        const x = logits.slice();
        x[i] += by;
        return f(tf.tensor4d(x, [1, 2, 3, c])).dataSync()[0];
      };
      expect(got[i]).toBeCloseTo((moved(1e-2) - moved(-1e-2)) / 2e-2, 3);
    }
  });
});

const config = parseClassicUNetConfig({ base: 4, levels: 2, n_classes: 3 });

describe('the norms’ statistics', () => {
  it('are those of the batches, in place among the trained parameters', async () => {
    const { trained, buffers } = splitSpecs(config);
    const flat = initParams(trained, new Random(2));
    const batches = [1, 2].map((seed) => ({
      data: new Random(seed).normal(2 * 16 * 16 * 3),
      shape: [2, 16, 16, 3],
      dtype: 'float32' as const,
    }));
    const complete = await measureStatistics(config, flat, batches, { threads: 1 });
    const named = unflatten(classicUNetSpecs(config), tf.tensor1d(complete));
    const given = unflatten(trained, tf.tensor1d(flat));
    for (const { name } of trained) expect(named[name].dataSync()).toEqual(given[name].dataSync());
    // The first norm sees the first convolution: its statistics can be worked out directly.
    const channels = batches.map(({ data, shape }) => {
      const x = tf.tensor4d(data, shape as [number, number, number, number]);
      const filter = tf.transpose(given['inc.double_conv.0.weight'] as Tensor4D, [2, 3, 1, 0]) as Tensor4D;
      const h = tf.conv2d(x, filter, 1, 'same');
      const { mean, variance } = tf.moments(h, [0, 1, 2]);
      return { mean: mean.dataSync(), variance: variance.dataSync().map((v) => (v * 512) / 511) };
    });
    const half = (key: 'mean' | 'variance', i: number) => (channels[0][key][i] + channels[1][key][i]) / 2;
    for (let i = 0; i < 4; i++) {
      expect(named['inc.double_conv.1.running_mean'].dataSync()[i]).toBeCloseTo(half('mean', i), 4);
      expect(named['inc.double_conv.1.running_var'].dataSync()[i]).toBeCloseTo(half('variance', i), 4);
    }
    expect(buffers.every(({ name }) => named[name].dataSync().every(Number.isFinite))).toBe(true);
    // With one batch, evaluation does what training did, but for the variance's n / (n - 1).
    const one = await measureStatistics(config, flat, batches.slice(0, 1), { threads: 1 });
    const x = tf.tensor4d(batches[0].data, [2, 16, 16, 3]);
    const params = unflatten(classicUNetSpecs(config), tf.tensor1d(one));
    const difference = tf.sub(
      classicUNet(config, params, x, { training: false }).logits,
      classicUNet(config, params, x, { training: true }).logits,
    );
    expect(tf.max(tf.abs(difference)).dataSync()[0]).toBeLessThan(0.1);
  });
});

describe('the scores', () => {
  it('are those of the counts', () => {
    const counts = countsOf(Uint8Array.of(0, 1, 1, 1, 0, 2), Uint8Array.of(0, 1, 0, 1, 1, IGNORED), 3);
    expect(counts).toEqual({ tp: [1, 2, 0], fp: [1, 1, 0], fn: [1, 1, 0] });
    const scores = scoresOf([counts], 3);
    expect(scores[1]).toEqual({ dice: 4 / 6, iou: 2 / 4, precision: 2 / 3, recall: 2 / 3 });
    expect(scores[2]).toEqual({ dice: null, iou: null, precision: null, recall: null });
    expect(meanDice(scores)).toBeCloseTo(4 / 6, 10); // a class that is nowhere does not count
  });

  it('have an interval that covers repeated draws', () => {
    // Pictures with a Dice between 0.8 and 1: the mean's interval is about ±2 standard errors.
    const pictures = Array.from({ length: 50 }, (_, i) => {
      const wrong = Math.round(20 * new Random(i).uniform(1)[0]);
      return { tp: [100, 100 - wrong], fp: [wrong, 0], fn: [0, wrong] };
    });
    const { interval, meanDice: mean } = evaluate(pictures, ['ground', 'thing']);
    expect(interval?.low).toBeLessThan(mean);
    expect(interval?.high).toBeGreaterThan(mean);
    const width = (interval?.high ?? 0) - (interval?.low ?? 0);
    expect(width).toBeGreaterThan(0.008);
    expect(width).toBeLessThan(0.03);
  });
});

describe('tiles', () => {
  it('cover a side, sharing what they should', () => {
    for (const [side, tile, overlap] of [
      [100, 32, 8],
      [65, 64, 16],
      [640, 256, 64],
      [31, 32, 8],
    ]) {
      const starts = tileStarts(side, tile, overlap);
      expect(starts[0]).toBe(0);
      if (side > tile) expect(starts[starts.length - 1] + tile).toBe(side);
      for (let i = 1; i < starts.length; i++) {
        expect(starts[i - 1] + tile - starts[i]).toBeGreaterThanOrEqual(overlap);
        expect(starts[i]).toBeGreaterThan(starts[i - 1]);
      }
    }
  });

  it('fade only where they are shared', () => {
    expect([...tileWeights(8, 4, true, false)]).toEqual([1, 1, 1, 1, 0.875, 0.625, 0.375, 0.125]);
    expect([...tileWeights(4, 2, true, true)]).toEqual([1, 1, 1, 1]);
  });

  const model: SegmentModel = {
    config,
    params: initParams(classicUNetSpecs(config), new Random(7)),
    table: { classes: ['a', 'b', 'c'].map((name, i) => ({ name, mask: i, colour: i })), ignore: [] },
    patch: 32,
    resize: null,
    recipe: {},
  };
  const picture = (width: number, height: number) => ({
    width,
    height,
    // Smooth, as pictures are.
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
      return 128 + 100 * Math.sin(x / 9 + (i % 3)) * Math.cos(y / 7);
    }),
  });

  it('give what the whole picture gives, for any size', async () => {
    const segmenter = new Segmenter(model, { threads: 1 });
    try {
      const wide = picture(200, 90);
      const whole = await segmenter.probabilities(wide, { tile: 224, overlap: 0 });
      const tiled = await segmenter.probabilities(wide, { tile: 96, overlap: 48 });
      let most = 0;
      whole.data.forEach((p, i) => {
        most = Math.max(most, Math.abs(p - tiled.data[i]));
      });
      expect(most).toBeLessThan(0.02);
      expect(most).toBeGreaterThan(0); // there were tiles
      for (const [w, h] of [
        [1, 1],
        [37, 61],
        [130, 5],
      ]) {
        const { data } = await segmenter.probabilities(picture(w, h), { tile: 64 });
        expect(data).toHaveLength(w * h * 3);
        for (let i = 0; i < w * h; i++)
          expect(data[i * 3] + data[i * 3 + 1] + data[i * 3 + 2]).toBeCloseTo(1, 4);
      }
      await expect(segmenter.probabilities(wide, { tile: 32, overlap: 20 })).rejects.toThrow(/half a tile/);
    } finally {
      await segmenter.dispose();
    }
  });

  it('are brought to another size linearly', () => {
    const small = { data: Float32Array.of(1, 0, 0, 1), classes: 2, width: 2, height: 1 };
    const large = enlarge(small, { width: 4, height: 2 });
    expect([...large.data].slice(0, 8)).toEqual([1, 0, 0.75, 0.25, 0.25, 0.75, 0, 1]);
    expect([...mostProbable(large).data]).toEqual([0, 0, 1, 1, 0, 0, 1, 1]);
  });
});
