/** Which of a teacher's pictures a step learns from. */
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { GROUP, WalkPool, type Walks } from '../../src/training/distill-pool.js';

/** A pool whose picture i has the sample [i, -i] at its start, [i + 0.5, -i] at its end, and the label i. */
function pool(options: { batchSize: number; reuse: number; size: number; signal?: AbortSignal }) {
  const drawn: number[] = [];
  const draw = async (group: number): Promise<Walks> => {
    drawn.push(group);
    const numbers = Array.from({ length: GROUP }, (_, j) => group * GROUP + j);
    const state = (shift: number) => Float32Array.from(numbers.flatMap((i) => [i + shift, -i]));
    return { states: [state(0), state(0.5)], labels: Int32Array.from(numbers) };
  };
  return { drawn, walks: new WalkPool(draw, new Random(3), options) };
}

const options = { batchSize: 4, reuse: 2, size: 16 };

describe('the pool of a teacher’s pictures', () => {
  it('gives whole pictures, none twice in a step', async () => {
    const { states, labels } = await pool(options).walks.at(1);
    const numbers = [...(labels as Int32Array)];
    expect(new Set(numbers).size).toBe(4);
    expect([...states[0]]).toEqual(numbers.flatMap((i) => [i, -i]));
    expect([...states[1]]).toEqual(numbers.flatMap((i) => [i + 0.5, -i]));
  });

  it('gives a step the same whatever came before', async () => {
    const { walks } = pool(options);
    for (let step = 1; step < 37; step++) await walks.at(step);
    expect(await walks.at(37)).toEqual(await pool(options).walks.at(37));
    expect((await walks.at(38)).labels).not.toEqual((await walks.at(37)).labels);
  });

  it('draws each group once, and uses its pictures as often as it is told', async () => {
    const { walks, drawn } = pool(options);
    const used = new Map<number, number>();
    for (let step = 1; step <= 400; step++)
      for (const i of (await walks.at(step)).labels ?? []) used.set(i, (used.get(i) ?? 0) + 1);
    // 400 steps of 4 pictures, each used twice: 800, and 16 that the window holds at its end.
    expect(drawn).toEqual(Array.from({ length: 101 }, (_, group) => group));
    const middle = [...used].filter(([i]) => i >= 100 && i < 700).map(([, times]) => times);
    expect(middle.reduce((a, b) => a + b) / 600).toBeCloseTo(2, 1);
  });

  it('holds a batch at least', async () => {
    const { walks } = pool({ batchSize: 20, reuse: 1, size: 1 });
    expect(new Set((await walks.at(1)).labels).size).toBe(20);
  });

  it('stops while it is filled, and not in the midst of the training', async () => {
    const controller = new AbortController();
    const { walks } = pool({ ...options, signal: controller.signal });
    await walks.at(1);
    controller.abort();
    await expect(walks.at(9)).resolves.toBeDefined();
    await expect(pool({ ...options, signal: controller.signal }).walks.at(1)).rejects.toThrow(/abort/i);
  });

  it('goes without labels', async () => {
    const draw = async () => ({ states: [new Float32Array(GROUP)], labels: null });
    expect((await new WalkPool(draw, new Random(1), options).at(1)).labels).toBeNull();
  });
});
