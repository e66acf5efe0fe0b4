/** The classic U-Net compiled: a training step that learns, and pictures of any size. */
import { expect, it } from 'vitest';
import { Compiled } from '../../src/engine/compile.js';
import type { Engine } from '../../src/engine/engines.js';
import { initParams, type Params, unflatten } from '../../src/engine/params.js';
import { type Scalar, type Tensor, type Tensor1D, type Tensor4D, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import { defaultOptimizer, freshVectors, TrainStep } from '../../src/training/step.js';
import { classicUNet, classicUNetSpecs, parseClassicUNetConfig } from '../../src/unet/index.js';
import { feed, maxError } from '../engine/helpers.js';

const config = parseClassicUNetConfig({ base: 4, levels: 2, n_classes: 1 });
const specs = classicUNetSpecs(config);
const trained = specs.filter(({ name }) => !/running_(mean|var)$/.test(name));
const buffers = specs.filter((spec) => !trained.includes(spec));

/** Running statistics play no part in training's forward pass. */
const withBuffers = (params: Params): Params => ({
  ...params,
  ...Object.fromEntries(buffers.map(({ name, shape }) => [name, tf.zeros(shape as number[])])),
});

/** Binary cross-entropy of the mask: the brighter half of the picture. */
function loss(params: Params, { sample }: Record<string, Tensor>) {
  const { logits } = classicUNet(config, withBuffers(params), sample as Tensor4D, { training: true });
  const mask = tf.cast(tf.greater(tf.mean(sample, 3, true), 0), 'float32');
  const entropy = tf.sub(tf.softplus(logits), tf.mul(logits, mask));
  return { loss: tf.mean(entropy) as Scalar };
}

it('trains compiled as it does eagerly, and learns', async () => {
  const start = initParams(trained, new Random(4));
  const batch = (step: number) => ({ sample: feed([2, 12, 12, 3], step) });
  const losses: number[] = [];
  const compiled = new TrainStep(trained, loss, freshVectors(start.slice()), defaultOptimizer, {
    threads: 1,
  });
  const eager = new TrainStep(trained, loss, freshVectors(start.slice()), defaultOptimizer, {
    engine: 'cpu' as Engine,
  });
  for (let step = 1; step <= 40; step++) {
    const result = await compiled.run(batch(1 + (step % 4)), step, 0.02, 0.9);
    losses.push(result.loss);
    if (step > 1) continue;
    const same = await eager.run(batch(1 + (step % 4)), step, 0.02, 0.9);
    expect(same.loss).toBeCloseTo(result.loss, 5);
    expect(same.gradNorm / result.gradNorm).toBeCloseTo(1, 4);
    expect(maxError((await compiled.read()).m, (await eager.read()).m)).toBeLessThan(1e-3);
  }
  await compiled.dispose();
  await eager.dispose();
  expect(losses[39]).toBeLessThan(0.5 * losses[0]);
});

it.each([
  [13, 21],
  [7, 4],
  [30, 9],
])('compiles for pictures of %i×%i', async (height, width) => {
  const flat = initParams(specs, new Random(4));
  const fn = ({ theta, sample }: Record<string, Tensor>) => {
    const params = unflatten(specs, theta as Tensor1D);
    return { y: classicUNet(config, params, sample as Tensor4D, { training: false }).logits };
  };
  const inputs = {
    theta: { data: flat, shape: [flat.length], dtype: 'float32' as const },
    sample: feed([1, height, width, 3], 1),
  };
  const [compiled, eager] = [new Compiled(fn, { threads: 1 }), new Compiled(fn, { engine: 'cpu' })];
  const [got, want] = [await compiled.run(inputs), await eager.run(inputs)];
  expect(got.y.length).toBe(height * width);
  expect(maxError(got.y, want.y)).toBeLessThan(1e-5);
  await compiled.dispose();
  await eager.dispose();
});
