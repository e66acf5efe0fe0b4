/** Pictures that are drawn side by side, one call of the network for all, and how fast they may be drawn. */
import type { TypedArray } from '../engine/graph.js';
import type { Feed } from '../engine/session.js';
import { InputError } from '../errors.js';
import type { UNetNetwork } from '../unet/index.js';
import type { Denoiser } from './denoise.js';
import { countRows, FeatureCache, type Forward, type Rows } from './forward.js';

/** What makes drawing faster, and what it costs. */
export interface SpeedOptions {
  /**
   * Pictures that go through the network at once. A picture differs between batch sizes by rounding alone. Default 1.
   */
  readonly batchSize?: number;
  /**
   * Feature caching (DeepCache; Ma et al. 2024): one call of the network in so many is whole, the others run its shallow
   * part alone. Default 1: all are whole.
   */
  readonly cacheInterval?: number;
  /** How many skip connections the shallow part has beside the first, from 0. Default `CACHE_BRANCH`. */
  readonly cacheBranchId?: number;
}

/** Default of `cacheBranchId`. */
export const CACHE_BRANCH = 0;

/** @throws InputError for numbers out of range, or a network that cannot be cut there */
export function checkSpeed(
  { batchSize, cacheInterval, cacheBranchId }: SpeedOptions,
  network: UNetNetwork,
  size: readonly [number, number],
): void {
  for (const [option, value] of [
    ['--batch', batchSize],
    ['--fast', cacheInterval],
  ] as const) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1))
      throw new InputError(`${value} is not possible — ${option} — give a whole number from 1`);
  }
  if ((cacheInterval ?? 1) > 1) network.deepShape(cacheBranchId ?? CACHE_BRANCH, size);
}

/** Collects the rows of pictures that are at the same step, and runs them as one. */
class Group {
  private waiting: {
    readonly member: number;
    readonly rows: Rows;
    readonly resolve: (output: Float32Array) => void;
    readonly reject: (error: unknown) => void;
  }[] = [];
  private failed: { readonly error: unknown } | undefined;

  constructor(
    private readonly forward: Forward,
    private members: number,
  ) {}

  async run(member: number, rows: Rows): Promise<Float32Array> {
    if (this.failed) throw this.failed.error;
    return new Promise((resolve, reject) => {
      this.waiting.push({ member, rows, resolve, reject });
      this.runWhenAll();
    });
  }

  /** A picture has failed: the others are not drawn to their ends. */
  fail(error: unknown): void {
    this.failed ??= { error };
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }

  /** A picture is done: the others wait for it no longer. */
  leave(): void {
    this.members--;
    this.runWhenAll();
  }

  private runWhenAll(): void {
    if (this.waiting.length === 0 || this.waiting.length < this.members) return;
    // Always in the pictures' order: features that are kept belong to rows.
    const batch = this.waiting.sort((a, b) => a.member - b.member);
    this.waiting = [];
    const counts = batch.map(({ rows }) => countRows(rows));
    const all = counts.reduce((a, b) => a + b, 0);
    this.forward.run(joinedRows(batch.map(({ rows }) => rows))).then(
      (output) => {
        const length = output.length / all;
        let at = 0;
        for (const [i, { resolve }] of batch.entries()) {
          resolve(output.subarray(at * length, (at + counts[i]) * length));
          at += counts[i];
        }
      },
      (error) => {
        for (const { reject } of batch) reject(error);
      },
    );
  }
}

function joinedRows(parts: readonly Rows[]): Rows {
  if (parts.length === 1) return parts[0];
  return Object.fromEntries(Object.keys(parts[0]).map((name) => [name, joined(parts.map((p) => p[name]))]));
}

function joined(feeds: readonly Feed[]): Feed {
  const rows = feeds.reduce((sum, { shape }) => sum + shape[0], 0);
  const length = feeds.reduce((sum, { data }) => sum + data.length, 0);
  const data = new (feeds[0].data.constructor as new (n: number) => TypedArray)(length);
  let at = 0;
  for (const feed of feeds) {
    data.set(feed.data, at);
    at += feed.data.length;
  }
  return { ...feeds[0], data, shape: [rows, ...feeds[0].shape.slice(1)] };
}

/**
 * Draws pictures side by side. They must call each denoiser equally often, at the same timesteps.
 * @param denoisers that the drawing uses
 * @param draw draws picture i with the denoisers that stand for these
 * @returns what `draw` gave, in order
 * @throws the first error of a `draw`, after all of them have ended
 */
export async function together<T>(
  denoisers: readonly Denoiser[],
  count: number,
  { cacheInterval = 1, cacheBranchId = CACHE_BRANCH }: SpeedOptions,
  draw: (denoisers: readonly Denoiser[], i: number) => Promise<T>,
): Promise<T[]> {
  const caches = cacheInterval > 1;
  if (count === 1 && !caches) return [await draw(denoisers, 0)];
  const groups = denoisers.map(({ runs }) => {
    const forward = caches ? new FeatureCache(runs, cacheInterval, cacheBranchId) : runs;
    return new Group(forward, count);
  });
  const drawn = Array.from({ length: count }, async (_, i) => {
    const own = denoisers.map((denoiser, d) => denoiser.over({ run: (rows) => groups[d].run(i, rows) }));
    try {
      const result = await draw(own, i);
      for (const group of groups) group.leave();
      return result;
    } catch (error) {
      for (const group of groups) group.fail(error);
      throw error;
    }
  });
  const ended = await Promise.allSettled(drawn);
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}

/** Consecutive parts of `length`, 1 by default, the last one shorter where they do not come out even. */
export function chunks<T>(all: readonly T[], length = 1): T[][] {
  return Array.from({ length: Math.ceil(all.length / length) }, (_, i) =>
    all.slice(i * length, (i + 1) * length),
  );
}

/** Lets callbacks of pictures that are drawn side by side run one at a time, in the order in which they were called. */
export function oneAtATime(): <T>(work: () => T | Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}
