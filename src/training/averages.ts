/** The averages of `ema_widths` while a stage trains: kept up to date, part of its state, and stored as snapshots. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensors, writeSafetensors } from '../checkpoint/safetensors.js';
import { InputError } from '../errors.js';
import { makeFolder } from '../files/index.js';
import { decayBetween, gammaOf } from './power-ema.js';

/** Steps between updates: weights hardly move in so few, and passes over them are then a hundredth of the time. */
export const APART = 8;

/** Snapshots of a run at most. */
const SNAPSHOTS = 12;

const arrayName = (width: number): string => `average ${width}`;
export const snapshotFolder = (dir: string): string => join(dir, 'averages');
const pathOf = (dir: string, step: number): string => join(snapshotFolder(dir), `step-${step}.safetensors`);

export class Averages {
  private constructor(
    private readonly dir: string,
    private readonly kept: ReadonlyMap<number, { readonly gamma: number; readonly values: Float32Array }>,
    /** Of the last update; 0: there was none. */
    private at: number,
  ) {}

  /**
   * @param arrays of the state that training goes on from; without it the averages begin
   * @param step that training stands at
   * @throws InputError when the state has no averages of these widths
   */
  static open(
    dir: string,
    widths: readonly number[],
    length: number,
    step: number,
    arrays?: Readonly<Record<string, Float32Array>>,
  ): Averages {
    const kept = widths.map((width) => {
      const values = arrays ? arrays[arrayName(width)] : new Float32Array(length);
      if (values) return [width, { gamma: gammaOf(width), values: values.slice() }] as const;
      throw new InputError(
        `the training state has no average of width ${width} — ${dir} — go on with the ema_widths that the run began with`,
      );
    });
    return new Averages(dir, new Map(kept), step - (step % APART));
  }

  /** What a state holds beside the training vectors. */
  get arrays(): Record<string, Float32Array> {
    return Object.fromEntries([...this.kept].map(([width, { values }]) => [arrayName(width), values]));
  }

  /** @param params the weights after `step`, asked for where they are needed */
  async follow(step: number, params: () => Promise<Float32Array>): Promise<void> {
    if (this.kept.size === 0 || step % APART !== 0) return;
    const now = await params();
    for (const { gamma, values } of this.kept.values()) {
      const renewal = 1 - decayBetween(gamma, this.at, step);
      for (let i = 0; i < values.length; i++) values[i] += renewal * (now[i] - values[i]);
    }
    this.at = step;
  }

  /**
   * Stores the averages, in half precision; older snapshots are thinned out to twelve, evenly over the run.
   * @param apart steps between checkpoints
   */
  async store(apart: number): Promise<void> {
    if (this.kept.size === 0 || this.at === 0) return;
    const tensors = Object.entries(this.arrays).map(
      ([name, data]) => [name, { shape: [data.length], data }] as const,
    );
    await makeFolder(snapshotFolder(this.dir));
    await writeSafetensors(pathOf(this.dir, this.at), new Map(tensors), { dtype: 'F16' });
    let spacing = apart;
    while (this.at / spacing > SNAPSHOTS) spacing *= 2;
    for (const step of await snapshotSteps(this.dir)) {
      // A snapshot lies up to an update before its checkpoint.
      const checkpoint = Math.ceil(step / apart) * apart;
      const wanted =
        step === this.at || (step < this.at && checkpoint % spacing === 0 && checkpoint - step < APART);
      if (!wanted) await rm(pathOf(this.dir, step));
    }
  }
}

/** Steps that a run has snapshots of, rising. */
export async function snapshotSteps(dir: string): Promise<number[]> {
  const names = await readdir(snapshotFolder(dir)).catch(() => [] as string[]);
  return names
    .flatMap((name) => /^step-(\d+)\.safetensors$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

export interface Snapshot {
  readonly step: number;
  readonly width: number;
  readonly values: Float32Array;
}

/** The averages of a run at a step. @throws InputError for a damaged file */
export async function readSnapshots(dir: string, step: number): Promise<Snapshot[]> {
  const { tensors } = await readSafetensors(pathOf(dir, step));
  return [...tensors].map(([name, { data }]) => ({
    step,
    width: Number(name.slice(arrayName(0).length - 1)),
    values: data as Float32Array,
  }));
}
