/**
 * Random graphs of small operations: layouts, broadcasts and simplifications meet in ways that nobody writes down.
 * Each is run compiled and eagerly, outputs and gradient; a failure names the seed, which makes the same graph again.
 */
import { describe, expect, it } from 'vitest';
import { Compiled, type TensorFunction } from '../../src/engine/compile.js';
import * as ops from '../../src/engine/ops.js';
import type { Feed } from '../../src/engine/session.js';
import { type Tensor, type Tensor1D, type Tensor4D, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import { feed, maxError } from './helpers.js';

/** Whole numbers from 0 below n, seeded. */
class Dice {
  private readonly random: Random;
  constructor(seed: number) {
    this.random = new Random(seed, 'graph');
  }
  below(n: number): number {
    return Math.min(n - 1, Math.floor(this.random.uniform(1)[0] * n));
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
  permutation(n: number): number[] {
    return Array.from(this.random.permutation(n));
  }
}

type Move = (x: Tensor, dice: Dice) => Tensor;

/** Numbers to combine with, of a shape that broadcasts to that of x. */
function partner(x: Tensor, dice: Dice): Tensor {
  const rank = dice.below(x.rank + 1);
  const shape = x.shape.slice(x.rank - rank).map((d) => (dice.below(3) === 0 ? 1 : d));
  if (dice.below(4) === 0) return tf.fill(shape, dice.pick([0, 1, -1, 0.5]));
  return tf.tensor(feed(shape, 1 + dice.below(1000)).data as Float32Array, shape);
}

/** Splits a number into factors at random. */
function factors(size: number, dice: Dice): number[] {
  const shape = [size];
  for (let k = dice.below(4); k > 0; k--) {
    const axis = dice.below(shape.length);
    const divisors = Array.from({ length: shape[axis] }, (_, i) => i + 1).filter(
      (d) => shape[axis] % d === 0,
    );
    const d = dice.pick(divisors);
    shape.splice(axis, 1, d, shape[axis] / d);
  }
  return shape;
}

const moves: Record<string, Move> = {
  reshape: (x, dice) => tf.reshape(x, factors(x.size, dice)),
  transpose: (x, dice) => tf.transpose(x, dice.permutation(x.rank)),
  transposeAgain: (x, dice) => tf.transpose(x, dice.permutation(x.rank)),
  tanh: (x) => tf.tanh(x),
  silu: (x) => ops.silu(x),
  add: (x, dice) => tf.add(x, partner(x, dice)),
  sub: (x, dice) => tf.sub(partner(x, dice), x),
  mul: (x, dice) => tf.mul(x, partner(x, dice)),
  div: (x, dice) => tf.div(x, tf.add(tf.abs(partner(x, dice)), 0.7)),
  self: (x) => tf.mul(x, tf.sigmoid(x)),
  sum: (x, dice) => (x.rank ? tf.sum(x, dice.below(x.rank), dice.below(2) === 0) : x),
  mean: (x, dice) => (x.rank > 1 ? tf.mean(x, [0, x.rank - 1], dice.below(2) === 0) : x),
  centre: (x, dice) => (x.rank ? tf.sub(x, tf.mean(x, dice.below(x.rank), true)) : x),
  softmax: (x) => (x.rank ? tf.softmax(x) : x),
  expand: (x, dice) => (x.rank < 5 ? tf.expandDims(x, dice.below(x.rank + 1)) : x),
  squeeze: (x) => tf.squeeze(x),
  slice: (x, dice) => {
    const begin = x.shape.map((d) => dice.below(d));
    const size = x.shape.map((d, i) => 1 + dice.below(d - begin[i]));
    return x.rank > 0 && x.rank < 5 ? tf.slice(x, begin, size) : x;
  },
  pad: (x, dice) =>
    x.rank > 0 && x.rank < 5
      ? tf.pad(
          x,
          x.shape.map(() => [dice.below(2), dice.below(2)] as [number, number]),
        )
      : x,
  tile: (x, dice) =>
    x.rank > 0 && x.size < 100
      ? tf.tile(
          x,
          x.shape.map(() => 1 + dice.below(2)),
        )
      : x,
  concat: (x, dice) => (x.rank > 0 && x.size < 200 ? tf.concat([x, tf.neg(x)], dice.below(x.rank)) : x),
  stack: (x, dice) => (x.rank < 4 && x.size < 200 ? tf.stack([x, tf.square(x)], dice.below(x.rank + 1)) : x),
  matMul: (x, dice) => {
    if (x.rank < 2 || x.rank > 4) return x;
    const last = x.shape[x.rank - 1] as number;
    const w = tf.tensor(feed([last, 3], 1 + dice.below(1000)).data as Float32Array, [last, 3]);
    return tf.reshape(tf.matMul(tf.reshape(x, [-1, last]), w), [...x.shape.slice(0, -1), 3]);
  },
  gram: (x) => (x.rank === 2 || x.rank === 3 ? tf.mul(tf.matMul(x, x, false, true), 0.2) : x),
  convolution: (x, dice) => {
    if (x.rank !== 4 || x.size > 1000) return x;
    const channels = x.shape[3] as number;
    const w = feed([2, channels, 3, 3], 1 + dice.below(1000), 0.5);
    const bias = tf.tensor1d([0.1, -0.2]);
    return ops.conv2d(x as Tensor4D, tf.tensor(w.data as Float32Array, [2, channels, 3, 3]), bias, {
      padding: 1,
      stride: 1 + dice.below(2),
    });
  },
  upsample: (x) => (x.rank === 4 && x.size < 200 ? ops.upsample2x(x as Tensor4D) : x),
  groupNorm: (x) => {
    const channels = x.shape[x.rank - 1];
    if (x.rank < 3 || x.rank > 4 || channels % 2) return x;
    const scale = tf.tensor1d(Float32Array.from({ length: channels }, (_, i) => 0.5 + i / channels));
    return ops.groupNorm(x, scale, tf.mul(scale, 0.3) as Tensor1D, 2, 1e-2);
  },
};
const names = Object.keys(moves);

/** A chain of moves from x, now and then joined with what it was before. */
function chain(x: Tensor, seed: number): Tensor {
  const dice = new Dice(seed);
  const past: Tensor[] = [x];
  let at = x;
  for (let k = 4 + dice.below(9); k > 0; k--) {
    at = moves[dice.pick(names)](at, dice);
    const twin = past.find(
      (t) => t !== at && t.rank === at.rank && t.shape.every((d, i) => d === at.shape[i]),
    );
    if (twin && dice.below(3) === 0) at = dice.below(2) ? tf.add(at, twin) : tf.mul(twin, at);
    past.push(at);
  }
  // Nothing may grow without bounds: a relative error is measured on it.
  return tf.tanh(tf.mul(at, 0.3));
}

const shapeOf = (seed: number): number[] => {
  const dice = new Dice(-1 - seed);
  return Array.from({ length: 1 + dice.below(4) }, () => dice.pick([1, 2, 2, 3, 4]));
};

const GRAPHS = 240;
const AT_ONCE = 20;

describe('random graphs give the same compiled and eagerly', () => {
  const groups = Array.from({ length: GRAPHS / AT_ONCE }, (_, g) => g * AT_ONCE);
  it.each(groups)('seeds from %i', async (first) => {
    const seeds = Array.from({ length: AT_ONCE }, (_, i) => first + i);
    const inputs: Record<string, Feed> = {};
    for (const seed of seeds) inputs[`x${seed}`] = feed(shapeOf(seed), seed + 1);
    const fn: TensorFunction = (given) => {
      const outputs: Record<string, Tensor> = {};
      for (const seed of seeds) {
        const x = given[`x${seed}`];
        outputs[`value of seed ${seed}`] = chain(x, seed);
        outputs[`gradient of seed ${seed}`] = tf.grad((t: Tensor) => {
          const y = chain(t, seed);
          const weights = Float32Array.from({ length: y.size }, (_, i) => Math.sin(1 + i));
          return tf.sum(tf.mul(y, tf.tensor(weights, y.shape)));
        })(x);
      }
      return outputs;
    };
    const [compiled, eager] = [new Compiled(fn, { threads: 1 }), new Compiled(fn, { engine: 'cpu' })];
    const [got, want] = [await compiled.run(inputs), await eager.run(inputs)];
    await compiled.dispose();
    await eager.dispose();
    expect(Object.keys(got).sort()).toEqual(Object.keys(want).sort());
    for (const name of Object.keys(want)) {
      expect(maxError(got[name], want[name]), name).toBeLessThan(name.startsWith('value') ? 1e-5 : 1e-4);
    }
  });
});
