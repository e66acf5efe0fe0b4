/**
 * Which pictures a training step sees. Step s of batches of B takes the positions s·B … s·B+B-1 of one endless
 * row of epochs, each a permutation of its own: what a step sees depends on (seed, step, batch size, count)
 * alone, so that a resumed run needs nothing but its step number.
 */
import { InputError } from '../errors.js';
import type { Size } from '../image/picture.js';
import { Random } from '../random.js';
import { type AugmentOptions, augmentInto, checkAugment } from './augment.js';
import { bytesAt, type Dataset, sizeAt } from './dataset.js';

export interface BatchOptions {
  batchSize: number;
  seed: number | bigint;
  /** Default none. */
  augment?: AugmentOptions;
  /** The pictures of the dataset that are used; default all. */
  only?: Uint32Array;
}

export interface Batch {
  /** RGB in [-1, 1], [batchSize, height, width, 3]. */
  readonly pixels: Float32Array;
  /** Of all its pictures. */
  readonly size: Size;
  /** [batchSize], index into the dataset's labels, or -1. */
  readonly labelIds: Int32Array;
  /** [batchSize], which pictures of the dataset these are. */
  readonly indices: Uint32Array;
  /** [batchSize], the epoch of each; a batch may straddle two. */
  readonly epochs: Uint32Array;
}

/** @throws InputError */
function checkStep(step: number): void {
  if (!Number.isSafeInteger(step) || step < 0)
    throw new InputError(`no step ${step} — batches — give a whole number from 0`);
}

/** Indices without pixels: for datasets that live elsewhere, as latents do. */
export class BatchOrder {
  private readonly orders = new Map<number, Uint32Array>();

  /** @throws InputError when count or batch size is no whole number from 1 */
  constructor(
    readonly count: number,
    readonly batchSize: number,
    readonly seed: number | bigint,
  ) {
    for (const [name, value] of Object.entries({ count, batchSize }))
      if (!Number.isSafeInteger(value) || value < 1)
        throw new InputError(`${name} of ${value} is not possible — batches — give a whole number from 1`);
  }

  /** The pictures of a step, from 0. @returns indices and epochs, each [batchSize] */
  at(step: number): { indices: Uint32Array; epochs: Uint32Array } {
    checkStep(step);
    const indices = new Uint32Array(this.batchSize);
    const epochs = new Uint32Array(this.batchSize);
    for (let k = 0; k < this.batchSize; k++) {
      const position = step * this.batchSize + k;
      epochs[k] = Math.floor(position / this.count);
      indices[k] = this.epoch(epochs[k])[position % this.count];
    }
    return { indices, epochs };
  }

  /** The order of an epoch; the last few are remembered, as steps mostly come one after another. */
  private epoch(number: number): Uint32Array {
    let order = this.orders.get(number);
    if (!order) {
      order = new Random(this.seed, 'order', number).permutation(this.count);
      if (this.orders.size >= 2) this.orders.delete(this.orders.keys().next().value as number);
      this.orders.set(number, order);
    }
    return order;
  }
}

/**
 * Batches of pictures of one shape, from a row of several: each shape has batches of its own, and they take turns as often as
 * their pictures are many. With one shape it is a `BatchOrder`.
 */
export class BucketOrder {
  private readonly buckets: readonly { readonly members: Uint32Array; readonly order: BatchOrder }[];
  /** Batches that each bucket has had. */
  private readonly taken: number[];
  /** The bucket of each step so far, and which of its batches that is. */
  private readonly turns: { readonly bucket: number; readonly batch: number }[] = [];

  /** @param ids the shape of each picture */
  constructor(
    private readonly ids: ArrayLike<number>,
    batchSize: number,
    readonly seed: number | bigint,
  ) {
    const members = new Map<number, number[]>();
    for (let i = 0; i < ids.length; i++) {
      const own = members.get(ids[i]);
      if (own) own.push(i);
      else members.set(ids[i], [i]);
    }
    this.buckets = [...members.values()].map((own) => ({
      members: Uint32Array.from(own),
      order: new BatchOrder(own.length, batchSize, seed),
    }));
    this.taken = this.buckets.map(() => 0);
  }

  /** As `BatchOrder.at`. */
  at(step: number): { indices: Uint32Array; epochs: Uint32Array } {
    const { bucket, batch } = this.turn(step);
    const { members, order } = this.buckets[bucket];
    const { indices, epochs } = order.at(batch);
    return { indices: indices.map((i) => members[i]), epochs };
  }

  /** Each step is the turn of the bucket that is furthest behind its share. */
  private turn(step: number): { bucket: number; batch: number } {
    checkStep(step);
    for (let next = this.turns.length + 1; next <= step + 1; next++) {
      const behind = this.buckets.map(
        ({ members }, b) => (next * members.length) / this.ids.length - this.taken[b],
      );
      const bucket = behind.indexOf(Math.max(...behind));
      this.turns.push({ bucket, batch: this.taken[bucket]++ });
    }
    return this.turns[step];
  }
}

/** The batches of a dataset, with augmentation. */
export class Batches {
  readonly order: BucketOrder;
  private readonly augment: AugmentOptions;
  private readonly only: Uint32Array | undefined;

  /** @throws InputError when the batch size or an augmentation is out of its range */
  constructor(
    readonly dataset: Dataset,
    { batchSize, seed, augment = {}, only }: BatchOptions,
  ) {
    const ids = dataset.buckets?.ids ?? new Uint8Array(dataset.count);
    this.order = new BucketOrder(only?.map((i) => ids[i]) ?? ids, batchSize, seed);
    const sides = dataset.buckets?.sizes.flatMap(({ width, height }) => [width, height]) ?? [dataset.size];
    checkAugment(augment, Math.min(...sides));
    this.augment = augment;
    this.only = only;
  }

  /** The batch of a step, from 0: a pure function of (seed, step, batch size) and the dataset. */
  batchAt(step: number): Batch {
    const { dataset, only } = this;
    const { indices: positions, epochs } = this.order.at(step);
    const indices = only ? positions.map((position) => only[position]) : positions;
    const size = sizeAt(dataset, indices[0]);
    const stride = size.width * size.height * 3;
    const out = new Float32Array(indices.length * stride);
    indices.forEach((index, k) => {
      const target = out.subarray(k * stride, (k + 1) * stride);
      const random = new Random(this.order.seed, 'augment', epochs[k], index);
      augmentInto(bytesAt(dataset, index), size, target, this.augment, random);
    });
    const labelIds = Int32Array.from(indices, (i) => dataset.labelIds[i]);
    return { pixels: out, size, labelIds, indices, epochs };
  }
}
