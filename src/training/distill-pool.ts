/**
 * Pictures of a teacher's that a student learns from several times each: drawing one costs more than learning from it.
 * They are an endless row of groups; a step takes some out of a window, which moves on as the steps do. What a step gets
 * is a function of its number, since a group is always drawn as a whole (kernels may round otherwise in other batches).
 */
import type { Random } from '../random.js';

/** Ways of some pictures from noise to their end. */
export interface Walks {
  /** Where the pictures were at the beginning of each step of the student, and at the end of the last: [n, H, W, C] each. */
  readonly states: readonly Float32Array[];
  /** [n], or null for a model without classes. */
  readonly labels: Int32Array | null;
}

/** Pictures that are drawn at once. */
export const GROUP = 8;

export interface PoolOptions {
  /** Pictures a step. */
  readonly batchSize: number;
  /** How many steps learn from a picture, on average. */
  readonly reuse: number;
  /** Pictures in the window; as many as a step takes, at least. */
  readonly size: number;
  readonly signal?: AbortSignal;
}

export class WalkPool {
  private readonly groups = new Map<number, Walks>();
  private readonly count: number;

  /**
   * @param draw draws the pictures of a group, a pure function of its number
   * @param random chooses
   */
  constructor(
    private readonly draw: (group: number) => Promise<Walks>,
    private readonly random: Random,
    private readonly options: PoolOptions,
  ) {
    this.count = Math.ceil(Math.max(options.size, options.batchSize) / GROUP);
  }

  /**
   * The pictures of a step, from 1.
   * @throws the signal's reason when it aborts while the window is filled for the first time
   */
  async at(step: number): Promise<Walks> {
    const { batchSize, reuse, signal } = this.options;
    const first = Math.floor(((step - 1) * batchSize) / (reuse * GROUP));
    const filling = this.groups.size === 0;
    for (const known of this.groups.keys()) if (known < first) this.groups.delete(known);
    for (let group = first; group < first + this.count; group++) {
      if (filling) signal?.throwIfAborted();
      if (!this.groups.has(group)) this.groups.set(group, await this.draw(group));
    }
    const chosen = this.random
      .fork('pictures', step)
      .permutation(this.count * GROUP)
      .subarray(0, batchSize);
    return gather(
      Array.from(chosen, (i) => [this.groups.get(first + Math.floor(i / GROUP)) as Walks, i % GROUP]),
    );
  }
}

/** Some pictures of some groups. */
function gather(chosen: readonly (readonly [Walks, number])[]): Walks {
  const [{ states, labels }] = chosen[0];
  const each = states[0].length / GROUP;
  return {
    states: states.map((_, k) => {
      const all = new Float32Array(chosen.length * each);
      for (const [i, [walks, j]] of chosen.entries())
        all.set(walks.states[k].subarray(j * each, (j + 1) * each), i * each);
      return all;
    }),
    labels: labels && Int32Array.from(chosen, ([walks, j]) => (walks.labels as Int32Array)[j]),
  };
}
