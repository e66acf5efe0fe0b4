/** One step of training: forward pass, tfjs's autodiff, clipping by global norm, AdamW and EMA. */
import type { CompileOptions } from '../engine/compile.js';
import type { ParamSpec } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
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
    const onDevice = options.engine === 'webgpu' || options.engine === 'cuda';
    const Kind = onDevice ? StepOnDevice : StepInPlace;
    this.inner = new Kind(specs, loss, vectors, optimizer, options);
  }

  /** The state after the last step. The arrays are reused: copy what must outlive the next step. */
  read(): Promise<TrainVectors> {
    return this.inner.read();
  }

  /**
   * @param step counted from 1 (Adam's bias correction)
   * @returns the loss and the gradient's norm before clipping; when either is not finite the state is unchanged
   */
  async run(
    batch: Readonly<Record<string, Feed>>,
    step: number,
    learningRate: number,
    emaDecay: number,
  ): Promise<StepResult> {
    const { loss, gradNorm, ...metrics } = Object.fromEntries(
      Object.entries(await this.inner.run(batch, step, learningRate, emaDecay)).map(([name, [value]]) => [
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
