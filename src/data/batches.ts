/**
 * Which pictures a training step sees. Step s of batches of B takes the positions s·B … s·B+B-1 of one endless
 * row of epochs, each a permutation of its own: what a step sees depends on (seed, step, batch size, count)
 * alone, so that a resumed run needs nothing but its step number.
 */
import { InputError } from '../errors.js';
import { Random } from '../random.js';
import { type AugmentOptions, augmentInto, checkAugment } from './augment.js';
import type { Dataset } from './dataset.js';

export interface BatchOptions {
  batchSize: number;
  seed: number | bigint;
  /** Default none. */
  augment?: AugmentOptions;
  /** The pictures of the dataset that are used; default all. */
  only?: Uint32Array;
}

export interface Batch {
  /** RGB in [-1, 1], [batchSize, size, size, 3]. */
  readonly pixels: Float32Array;
  /** [batchSize], index into the dataset's labels, or -1. */
  readonly labelIds: Int32Array;
  /** [batchSize], which pictures of the dataset these are. */
  readonly indices: Uint32Array;
  /** [batchSize], the epoch of each; a batch may straddle two. */
  readonly epochs: Uint32Array;
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
    if (!Number.isSafeInteger(step) || step < 0)
      throw new InputError(`no step ${step} — batches — give a whole number from 0`);
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

/** The batches of a dataset, with augmentation. */
export class Batches {
  readonly order: BatchOrder;
  private readonly augment: AugmentOptions;
  private readonly only: Uint32Array | undefined;

  /** @throws InputError when the batch size or an augmentation is out of its range */
  constructor(
    readonly dataset: Dataset,
    { batchSize, seed, augment = {}, only }: BatchOptions,
  ) {
    this.order = new BatchOrder(only?.length ?? dataset.count, batchSize, seed);
    checkAugment(augment, dataset.size);
    this.augment = augment;
    this.only = only;
  }

  /** The batch of a step, from 0: a pure function of (seed, step, batch size) and the dataset. */
  batchAt(step: number): Batch {
    const { size, pixels, labelIds } = this.dataset;
    const { indices: positions, epochs } = this.order.at(step);
    const { only } = this;
    const indices = only ? positions.map((position) => only[position]) : positions;
    const stride = size * size * 3;
    const out = new Float32Array(indices.length * stride);
    indices.forEach((index, k) => {
      const source = pixels.subarray(index * stride, (index + 1) * stride);
      const target = out.subarray(k * stride, (k + 1) * stride);
      const random = new Random(this.order.seed, 'augment', epochs[k], index);
      augmentInto(source, size, target, this.augment, random);
    });
    return { pixels: out, labelIds: Int32Array.from(indices, (i) => labelIds[i]), indices, epochs };
  }
}
