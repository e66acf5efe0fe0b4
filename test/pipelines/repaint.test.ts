import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { noiseUp, plainSchedule, repaintSchedule, requireResampling } from '../../src/pipelines/repaint.js';
import { DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler } from '../../src/schedulers/index.js';

/** Steps that are still to do, after each move: the paper's t. */
function levels(steps: number, jumpLength: number, jumps: number): number[] {
  let done = 0;
  const seen = [steps];
  for (const move of repaintSchedule(steps, jumpLength, jumps)) {
    if ('up' in move) {
      expect(done - move.up).toBe(jumpLength);
      done = move.up;
      continue;
    }
    if (seen.at(-1) !== steps - move.down) seen.push(steps - move.down);
    expect(move.down).toBe(done);
    done++;
    seen.push(steps - done);
  }
  expect(done).toBe(steps);
  return seen;
}

describe("RePaint's schedule", () => {
  it('goes back up where the paper does', () => {
    expect(levels(5, 2, 2)).toEqual([5, 4, 3, 2, 4, 3, 2, 1, 0, 2, 1, 0]);
    expect(levels(3, 1, 3)).toEqual([3, 2, 1, 2, 1, 2, 1, 0, 1, 0, 1, 0]);
    expect(levels(6, 3, 2)).toEqual([6, 5, 4, 3, 2, 1, 0, 3, 2, 1, 0]);
  });

  it("has the length of the paper's for T = 250, j = 10, r = 10", () => {
    // 24 places to go back up from, 9 times each: 9 moves of 10 steps up (single ones in the paper) and 10 down.
    const moves = repaintSchedule(250, 10, 10);
    const down = moves.filter((m) => 'down' in m).length;
    const up = (moves.length - down) * 10;
    expect([down, up]).toEqual([250 + 24 * 9 * 10, 24 * 9 * 10]);
  });

  it('is the plain one without resampling, or with jumps as long as the whole', () => {
    expect(repaintSchedule(7, 3, 1)).toEqual(plainSchedule(7));
    expect(repaintSchedule(4, 4, 5)).toEqual(plainSchedule(4));
    expect(repaintSchedule(4, 99, 5)).toEqual(plainSchedule(4));
  });
});

describe('going back up', () => {
  it('leads from one marginal of the forward process to another', () => {
    const [from, to] = [0.9, 0.3];
    const at = (x: number, e: number) => noiseUp(Float32Array.of(x), from, to, Float32Array.of(e))[0];
    const [gain, sigma] = [at(1, 0), at(0, 1)];
    expect(gain * Math.sqrt(from)).toBeCloseTo(Math.sqrt(to), 6);
    expect(gain ** 2 * (1 - from) + sigma ** 2).toBeCloseTo(1 - to, 6);
  });

  it('is refused for solvers that cannot', () => {
    for (const scheduler of [new DDIMScheduler(), new DDPMScheduler()])
      expect(() => requireResampling(scheduler)).not.toThrow();
    expect(() => requireResampling(new EulerDiscreteScheduler())).toThrow(InputError);
  });
});
