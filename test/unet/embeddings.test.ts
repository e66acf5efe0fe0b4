import { beforeAll, describe, expect, it } from 'vitest';
import { type Tensor2D, tf } from '../../src/engine/tf.js';
import { embeddingLookup, timestepEmbedding } from '../../src/unet/embeddings.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('timestepEmbedding', () => {
  it('follows the formula', () => {
    const rows = timestepEmbedding(tf.tensor1d([0, 3]), 4, { flipSinToCos: false, freqShift: 1 });
    const [zero, three] = rows.arraySync();
    expect(zero).toEqual([0, 0, 1, 1]);
    const want = [Math.sin(3), Math.sin(3e-4), Math.cos(3), Math.cos(3e-4)];
    three.forEach((v, i) => {
      expect(v).toBeCloseTo(want[i], 6);
    });
  });

  it('puts cosines first when asked, and a zero last when odd', () => {
    const rows = timestepEmbedding(tf.tensor1d([2]), 5, { flipSinToCos: true, freqShift: 0 });
    const [v] = rows.arraySync();
    expect(v[0]).toBeCloseTo(Math.cos(2), 6);
    expect(v[1]).toBeCloseTo(Math.cos(0.02), 6);
    expect(v[2]).toBeCloseTo(Math.sin(2), 6);
    expect(v[4]).toBe(0);
  });
});

describe('embeddingLookup', () => {
  const table = () => tf.tensor2d([[1, 2], [3, 4], [5, 6]]); // biome-ignore format: a matrix

  it('takes rows', () => {
    const rows = embeddingLookup(table(), tf.tensor1d([2, 0, 2], 'int32'));
    expect(rows.arraySync()).toEqual([[5, 6], [1, 2], [5, 6]]); // biome-ignore format: a matrix
  });

  it("has gather's gradient", () => {
    const indices = tf.tensor1d([2, 0, 2], 'int32');
    const weight = tf.tensor2d([[1, -1], [2, 0.5], [10, 20]]); // biome-ignore format: a matrix
    const of = (look: (t: Tensor2D) => Tensor2D) =>
      tf.grad((t) => tf.sum(tf.mul(look(t as Tensor2D), weight)))(table());
    const own = of((t) => embeddingLookup(t, indices)).arraySync();
    expect(own).toEqual([[2, 0.5], [0, 0], [11, 19]]); // biome-ignore format: a matrix
    expect(own).toEqual(of((t) => tf.gather(t, indices)).arraySync());
  });

  it('keeps indices that are made inside the loss', () => {
    const loss = (t: Tensor2D) => {
      const look = tf.tidy(() => embeddingLookup(t, tf.tensor1d([1], 'int32')));
      return tf.sum(look);
    };
    const g = tf.grad((t) => loss(t as Tensor2D))(table());
    expect(g.arraySync()).toEqual([
      [0, 0],
      [1, 1],
      [0, 0],
    ]);
  });
});
