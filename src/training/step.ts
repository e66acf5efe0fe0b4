/** One step of training: forward pass, tfjs's autodiff, clipping by global norm, AdamW and EMA. */
import type { CompileOptions } from '../engine/compile.js';
import type { ParamSpec } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { isOnDevice, microBatches } from './accumulate.js';
import { defaultOptimizer, type OptimizerOptions } from './adamw.js';
import type { LossFunction } from './gradients.js';
import { StepInPlace } from './step-in-place.js';
import { StepOnDevice } from './step-on-device.js';
import type { Stepping } from './stepping.js';
import type { TrainVectors } from './vectors.js';

export { defaultOptimizer, type OptimizerOptions } from './adamw.js';
export type { LossFunction } from './gradients.js';
export { freshVectors, savedVectors, type TrainVectors } from './vectors.js';

export interface StepResult {
  readonly loss: number;
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Runs training steps on vectors that it owns, on any engine. */
export class TrainStep {
  private readonly inner: Stepping;

  constructor(
    specs: readonly ParamSpec[],
    loss: LossFunction,
    vectors: TrainVectors,
    optimizer: OptimizerOptions = defaultOptimizer,
    options: CompileOptions = {},
  ) {
    const Kind = isOnDevice(options.engine) ? StepOnDevice : StepInPlace;
    this.inner = new Kind(specs, loss, vectors, optimizer, options);
  }

  /** The state after the last step. The arrays are reused: copy what must outlive the next step. */
  read(): Promise<TrainVectors> {
    return this.inner.read();
  }

  /**
   * @param step counted from 1 (Adam's bias correction)
   * @param parts batches that `batch` is divided into, whose gradients are added up: the same step but for rounding, in the
   *   memory of one part; 1 on an engine that `isOnDevice` tells of
   * @returns the loss and the gradient's norm before clipping; when either is not finite the state is unchanged
   */
  async run(
    batch: Readonly<Record<string, Feed>>,
    step: number,
    learningRate: number,
    emaDecay: number,
    parts = 1,
  ): Promise<StepResult> {
    const batches = parts === 1 ? [batch] : microBatches(batch, parts);
    const { loss, gradNorm, ...metrics } = Object.fromEntries(
      Object.entries(await this.inner.run(batches, step, learningRate, emaDecay)).map(([name, [value]]) => [
        name,
        value,
      ]),
    );
    return { loss, gradNorm, metrics };
  }

  endProfiling(): void {
    this.inner.endProfiling();
  }

  dispose(): Promise<void> {
    return this.inner.dispose();
  }
}
