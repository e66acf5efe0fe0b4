import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engines.js';
import { initParams, type ParamSpec } from '../../src/engine/params.js';
import { type Scalar, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import { diffusionLoss } from '../../src/training/diffusion.js';
import { emaDecay, learningRate } from '../../src/training/rates.js';
import { defaultOptimizer, freshVectors, TrainStep, type TrainVectors } from '../../src/training/step.js';
import { CHUNK } from '../../src/training/update.js';
import { parseUNet2DConfig, unet2dNetwork, unet2dSpecs } from '../../src/unet/index.js';
import { binaryModule } from '../../tools/wasm.js';
import { feed, maxError } from '../engine/helpers.js';

const specs: ParamSpec[] = [
  { name: 'w', shape: [3], init: { constant: 1 } },
  { name: 'b', shape: [2], init: { constant: 0.5 } },
];
/** ½Σ a·(w - c)² + Σ b⁴: gradients a·(w - c) and 4b³. */
const quadratic = (params: Record<string, tf.Tensor>, { a, c }: Record<string, tf.Tensor>) => ({
  loss: tf.add(
    tf.mul(0.5, tf.sum(tf.mul(a, tf.square(tf.sub(params.w, c))))),
    tf.sum(tf.square(tf.square(params.b))),
  ) as Scalar,
});

describe('TrainStep', () => {
  for (const engine of ['onnx', 'cpu'] as Engine[]) {
    it(`is AdamW with clipping and EMA, as written by hand (${engine})`, async () => {
      const options = { ...defaultOptimizer, weightDecay: 0.1, maxGradNorm: 2 };
      const trainer = new TrainStep(
        specs,
        quadratic,
        freshVectors(Float32Array.of(1, 1, 1, 0.5, 0.5)),
        options,
        { engine },
      );
      const [a, c] = [
        [1, 2, 30],
        [0.5, -1, 0],
      ];
      const theta = [1, 1, 1, 0.5, 0.5];
      const [m, v, ema] = [new Array(5).fill(0), new Array(5).fill(0), [...theta]];
      for (let step = 1; step <= 6; step++) {
        const lr = 0.01 * step;
        const g = [...a.map((ai, i) => ai * (theta[i] - c[i])), 4 * theta[3] ** 3, 4 * theta[4] ** 3];
        const norm = Math.hypot(...g);
        const scale = Math.min(1, 2 / (norm + 1e-6));
        const result = await trainer.run(
          {
            a: { data: Float32Array.from(a), shape: [3], dtype: 'float32' },
            c: { data: Float32Array.from(c), shape: [3], dtype: 'float32' },
          },
          step,
          lr,
          0.9,
        );
        expect(result.gradNorm).toBeCloseTo(norm, 3);
        for (let i = 0; i < 5; i++) {
          const gi = g[i] * scale;
          m[i] = 0.9 * m[i] + 0.1 * gi;
          v[i] = 0.999 * v[i] + 0.001 * gi * gi;
          const update = m[i] / (1 - 0.9 ** step) / (Math.sqrt(v[i] / (1 - 0.999 ** step)) + 1e-8);
          theta[i] = theta[i] * (1 - lr * 0.1) - lr * update;
          ema[i] = 0.9 * ema[i] + 0.1 * theta[i];
        }
        expect(maxError((await trainer.read()).params, Float32Array.from(theta))).toBeLessThan(1e-5);
        expect(maxError((await trainer.read()).ema, Float32Array.from(ema))).toBeLessThan(1e-5);
      }
      await trainer.dispose();
    });
  }

  it('keeps the last good state when the loss is not a number', async () => {
    const trainer = new TrainStep(specs, quadratic, freshVectors(Float32Array.of(1, 1, 1, 0.5, 0.5)));
    const bad = {
      a: feed([3], 1),
      c: { data: Float32Array.of(1, Number.NaN, 1), shape: [3], dtype: 'float32' as const },
    };
    const result = await trainer.run(bad, 1, 0.1, 0.9);
    expect(result.loss).toBeNaN();
    expect(Array.from((await trainer.read()).params)).toEqual([1, 1, 1, 0.5, 0.5]);
    await trainer.dispose();
  });

  it.each([
    ['in one memory', (vectors: TrainVectors) => vectors],
    ['that lie apart, in chunks', (vectors: TrainVectors) => ({ ...vectors })],
  ])('updates long vectors as it does short ones: %s', async (_, laid) => {
    const period = 7;
    const run = async (length: number) => {
      const cut = Math.floor(length / 3);
      const parts: ParamSpec[] = [
        { name: 'first', shape: [cut], init: { constant: 0 } },
        { name: 'second', shape: [length - cut], init: { constant: 0 } },
      ];
      const repeated = (of: (i: number) => number, from: number, n: number) =>
        Float32Array.from({ length: n }, (_, i) => of((from + i) % period));
      const trainer = new TrainStep(
        parts,
        ({ first, second }, { x, y }) => ({
          loss: tf.add(tf.sum(tf.mul(first, tf.mul(first, x))), tf.sum(tf.mul(second, y))) as Scalar,
        }),
        laid(freshVectors(repeated((i) => i - 2, 0, length))),
        { ...defaultOptimizer, weightDecay: 0.1, maxGradNorm: 0 },
      );
      const [x, y] = [repeated((i) => i + 1, 0, cut), repeated((i) => i - 3, cut, length - cut)];
      const batch = {
        x: { data: x, shape: [x.length], dtype: 'float32' as const },
        y: { data: y, shape: [y.length], dtype: 'float32' as const },
      };
      for (let step = 1; step <= 2; step++) await trainer.run(batch, step, 0.1, 0.5);
      const { params, m, v, ema } = await trainer.read();
      await trainer.dispose();
      return [params, m, v, ema];
    };
    const small = await run(6 * period);
    const large = await run(6 * period * Math.ceil(CHUNK / 3 / period));
    expect(large[0].length).toBeGreaterThan(2 * CHUNK - 1);
    for (const [k, vector] of large.entries()) {
      const cut = vector.length / 3;
      // The first third of either, then the rest.
      const want = (i: number) => small[k][i < cut ? i % (2 * period) : 2 * period + ((i - cut) % period)];
      expect(
        maxError(
          vector,
          Float32Array.from(vector, (_, i) => want(i)),
        ),
      ).toBeLessThan(1e-6);
    }
  });

  it('updates by the module that adamw.wat says', async () => {
    const path = new URL('../../src/training/adamw-binary.ts', import.meta.url);
    expect(await readFile(path, 'utf8')).toBe(await binaryModule());
  });

  it('is the same update in one memory as by the engine', async () => {
    const long: ParamSpec[] = [{ name: 'w', shape: [1003], init: { normal: 1 } }];
    const run = async (laid: (vectors: TrainVectors) => TrainVectors) => {
      const start = freshVectors(Float32Array.from(new Random(1).normal(1003)));
      const trainer = new TrainStep(
        long,
        ({ w }, { x }) => ({ loss: tf.sum(tf.square(tf.sub(w, x))) as Scalar }),
        laid(start),
        { ...defaultOptimizer, weightDecay: 0.1 },
      );
      for (let step = 1; step <= 5; step++)
        await trainer.run({ x: feed([1003], step) }, step, 0.01 * step, 0.9);
      const read = { ...(await trainer.read()) };
      await trainer.dispose();
      return read;
    };
    const [block, apart] = [await run((vectors) => vectors), await run((vectors) => ({ ...vectors }))];
    for (const name of ['params', 'm', 'v', 'ema'] as const)
      expect(maxError(block[name], apart[name]), name).toBeLessThan(1e-6);
  });

  const small = () =>
    parseUNet2DConfig({
      sample_size: 8,
      in_channels: 2,
      out_channels: 2,
      block_out_channels: [8, 16],
      norm_num_groups: 4,
      layers_per_block: 1,
      down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
      up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
      attention_head_dim: 8,
      num_class_embeds: 3,
      downsample_padding: 0,
    });

  it('adds up the gradients of parts to the step of the whole', async () => {
    const unetSpecs = unet2dSpecs(small());
    const start = initParams(unetSpecs, new Random(4));
    const batch = {
      sample: feed([6, 8, 8, 2], 1),
      target: feed([6, 8, 8, 2], 2),
      weights: { data: Float32Array.of(1, 5, 0.2, 3, 1, 2), shape: [6], dtype: 'float32' as const },
      bands: {
        data: Float32Array.from({ length: 24 }, (_, i) => Number(i % 4 === [0, 1, 1, 3, 0, 3][i >> 2])),
        shape: [6, 4],
        dtype: 'float32' as const,
      },
      timesteps: { data: Float32Array.of(10, 300, 400, 990, 5, 800), shape: [6], dtype: 'float32' as const },
      labels: { data: Int32Array.of(0, 2, 1, 1, 2, 0), shape: [6], dtype: 'int32' as const },
    };
    const run = async (parts: number) => {
      // A limit that clips: it is the mean gradient's norm that counts, not that of a part.
      const options = { ...defaultOptimizer, maxGradNorm: 0.5, epsilon: 1e-3 };
      const loss = diffusionLoss(unet2dNetwork(small()));
      const trainer = new TrainStep(unetSpecs, loss, freshVectors(start.slice()), options);
      const results = [];
      for (let step = 1; step <= 3; step++) results.push(await trainer.run(batch, step, 1e-2, 0.9, parts));
      const { m, params } = await trainer.read();
      const read = { results, m: m.slice(), params: params.slice() };
      await trainer.dispose();
      return read;
    };
    const whole = await run(1);
    expect(whole.results[0].gradNorm).toBeGreaterThan(0.5);
    for (const parts of [2, 6]) {
      const other = await run(parts);
      expect(maxError(other.m, whole.m)).toBeLessThan(1e-5);
      expect(maxError(other.params, whole.params)).toBeLessThan(1e-5);
      for (const [k, { loss, gradNorm, metrics }] of other.results.entries()) {
        expect(loss).toBeCloseTo(whole.results[k].loss, 4);
        expect(gradNorm).toBeCloseTo(whole.results[k].gradNorm, 3);
        expect(metrics.mse).toBeCloseTo(whole.results[k].metrics.mse, 4);
        // One picture has no error in the second quarter of the process unless it is there.
        if (parts === 6) expect(metrics.mse_2).toBeCloseTo(whole.results[k].metrics.mse_2, 4);
        expect(metrics.mse_3).toBeNaN();
      }
    }
  });

  it('keeps the last good state when a part of a step has no loss that is a number', async () => {
    const rows: ParamSpec[] = [{ name: 'w', shape: [2], init: { constant: 1 } }];
    const mean = ({ w }: Record<string, tf.Tensor>, { x }: Record<string, tf.Tensor>) => ({
      loss: tf.mean(tf.square(tf.sub(x, w))) as Scalar,
    });
    const trainer = new TrainStep(rows, mean, freshVectors(Float32Array.of(1, 1)));
    const x = (...data: number[]) => ({
      x: { data: Float32Array.from(data), shape: [2, 2], dtype: 'float32' as const },
    });
    expect((await trainer.run(x(1, 2, Number.NaN, 3), 1, 0.1, 0.9, 2)).loss).toBeNaN();
    expect(Array.from((await trainer.read()).params)).toEqual([1, 1]);
    expect((await trainer.run(x(1, 2, 4, 3), 1, 0.1, 0.9, 2)).loss).toBeCloseTo((1 + 9 + 4) / 4);
    await expect(trainer.run(x(1, 2, 4, 3), 2, 0.1, 0.9, 3)).rejects.toThrow(/x of 2 rows does not divide/);
    await trainer.dispose();
  });

  it('trains a UNet the same compiled and eagerly', async () => {
    const config = small();
    const unetSpecs = unet2dSpecs(config);
    const start = initParams(unetSpecs, new Random(3));
    const batch = {
      sample: feed([2, 8, 8, 2], 1),
      target: feed([2, 8, 8, 2], 2),
      weights: feed([2], 5),
      bands: { data: Float32Array.of(1, 0, 0, 0, 0, 0, 1, 0), shape: [2, 4], dtype: 'float32' as const },
      timesteps: { data: Float32Array.of(10, 700), shape: [2], dtype: 'float32' as const },
      labels: { data: Int32Array.of(0, 2), shape: [2], dtype: 'int32' as const },
    };
    const moments: Float32Array[] = [];
    const losses: number[] = [];
    for (const engine of ['onnx', 'cpu'] as Engine[]) {
      const trainer = new TrainStep(
        unetSpecs,
        diffusionLoss(unet2dNetwork(config)),
        freshVectors(start.slice()),
        defaultOptimizer,
        { engine },
      );
      losses.push((await trainer.run(batch, 1, 1e-3, 0.9)).loss);
      moments.push((await trainer.read()).m.slice());
      await trainer.dispose();
    }
    expect(losses[0]).toBeCloseTo(losses[1], 4);
    expect(maxError(moments[0], moments[1])).toBeLessThan(1e-4);
  });
});

describe('rates', () => {
  const options = { learning_rate: 1, lr_warmup_steps: 10, lr_scheduler: 'cosine' as const };
  it('rises, then falls as half a cosine to 0', () => {
    expect(learningRate(5, 100, options)).toBeCloseTo(0.5);
    expect(learningRate(10, 100, options)).toBeCloseTo(1);
    expect(learningRate(55, 100, options)).toBeCloseTo(0.5);
    expect(learningRate(100, 100, options)).toBeCloseTo(0);
    expect(learningRate(90, 100, { ...options, lr_scheduler: 'constant' })).toBe(1);
  });
  it('warms up for a tenth of a short run at most', () => {
    expect(learningRate(1, 10, options)).toBe(1);
    expect(learningRate(1, 1, options)).toBeCloseTo(0);
  });
  it('averages over more steps as they come', () => {
    expect(emaDecay(1, 0.999)).toBeCloseTo(2 / 11);
    expect(emaDecay(1e6, 0.999)).toBe(0.999);
  });
});
