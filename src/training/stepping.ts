import type { TypedArray } from '../engine/graph.js';
import type { Feed } from '../engine/session.js';
import type { TrainVectors } from './vectors.js';

/** Runs steps on vectors that it owns. */
export interface Stepping {
  /** @returns loss, gradNorm and the loss's metrics, each of one element */
  run(
    batch: Readonly<Record<string, Feed>>,
    step: number,
    learningRate: number,
    emaDecay: number,
  ): Promise<Record<string, TypedArray>>;
  read(): Promise<TrainVectors>;
  endProfiling(): void;
  dispose(): Promise<void>;
}
