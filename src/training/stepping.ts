import type { TypedArray } from '../engine/graph.js';
import type { Feed } from '../engine/session.js';
import type { TrainVectors } from './vectors.js';

/** Runs steps on vectors that it owns. */
export interface Stepping {
  /**
   * @param batches that the step is the mean of; one on engines that `isOnDevice` tells of
   * @returns loss, gradNorm and the loss's metrics, each of one element
   */
  run(
    batches: readonly Readonly<Record<string, Feed>>[],
    step: number,
    learningRate: number,
    emaDecay: number,
  ): Promise<Record<string, TypedArray>>;
  read(): Promise<TrainVectors>;
  endProfiling(): void;
  dispose(): Promise<void>;
}
