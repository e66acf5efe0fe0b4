import { expect, it } from 'vitest';
import { graphOf } from '../../src/engine/compile.js';
import { peakBytes } from '../../src/engine/memory.js';
import { silu } from '../../src/engine/ops.js';
import { recomputed } from '../../src/engine/recompute.js';
import { type Tensor, tf } from '../../src/engine/tf.js';
import { expectSame, feed } from './helpers.js';

/** A SiLU that is used at once and again after a walk of so many steps. */
const walk =
  (steps: number) =>
  ({ x }: Record<string, Tensor>) => {
    const y = silu(x);
    let at: Tensor = tf.sum(y);
    for (let i = 0; i < steps; i++) at = tf.mean(tf.sin(tf.mul(x, at)));
    return { z: tf.sum(tf.mul(y, at)) };
  };

const silus = (steps: number) => {
  const graph = graphOf(walk(steps), { x: feed([500], 1) });
  const made = recomputed(graph);
  return { count: made.nodes.filter(({ op }) => op === 'SumiSilu').length, graph, made };
};

it('repeats a cheap node whose result would wait long, and no other', () => {
  expect(silus(60).count).toBe(2);
  expect(silus(5).count).toBe(1);
});

it('is the same computation, with less alive meanwhile', async () => {
  const { graph, made } = silus(60);
  const names = made.nodes.flatMap(({ outputs }) => outputs);
  expect(new Set(names).size).toBe(names.length);
  expect(peakBytes(graph) - peakBytes(made)).toBeGreaterThan(1900);
  await expectSame(walk(60), { x: feed([500], 1) });
});
