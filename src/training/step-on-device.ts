/** A step of training as one graph, whose state stays where it is computed: for GPUs. */
import { Compiled, type CompileOptions, type TensorFunction } from '../engine/compile.js';
import type { TypedArray } from '../engine/graph.js';
import { type ParamSpec, unflatten } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { type Tensor, type Tensor1D, tf } from '../engine/tf.js';
import { adamW, COEFFICIENTS, coefficients, type OptimizerOptions } from './adamw.js';
import { gradients, type LossFunction } from './gradients.js';
import type { Stepping } from './stepping.js';
import { freshVectors, type TrainVectors, vectorNames } from './vectors.js';

/** The step as a function of the flat vectors, the batch and `coefficients`. */
export function stepFunction(
  specs: readonly ParamSpec[],
  lossOf: LossFunction,
  { maxGradNorm }: OptimizerOptions,
): TensorFunction {
  const names = specs.map((spec) => spec.name);
  return ({ params, m, v, ema, coefficients: numbers, ...batch }) => {
    const named = unflatten(specs, params as Tensor1D);
    const { loss, grads, metrics } = gradients(names, lossOf, named, batch);
    const flat = tf.concat(grads.map((g) => tf.reshape(g, [-1]))) as Tensor;
    const gradNorm = tf.sqrt(tf.sum(tf.square(flat)));
    const g = maxGradNorm ? tf.mul(flat, tf.minimum(1, tf.div(maxGradNorm, tf.add(gradNorm, 1e-6)))) : flat;
    return { ...adamW({ params, m, v, ema }, g, numbers), loss, gradNorm, ...metrics };
  };
}

/** Two sets of vectors take turns, so that a step that gives no number leaves the last good state untouched. */
export class StepOnDevice implements Stepping {
  private readonly compiled: Compiled;
  private current: TrainVectors;
  private spare: TrainVectors;

  constructor(
    specs: readonly ParamSpec[],
    loss: LossFunction,
    vectors: TrainVectors,
    private readonly optimizer: OptimizerOptions,
    options: CompileOptions,
  ) {
    this.current = vectors;
    this.spare = freshVectors(new Float32Array(vectors.params.length));
    this.compiled = new Compiled(stepFunction(specs, loss, optimizer), {
      name: 'training step',
      resident: vectorNames,
      ...options,
    });
  }

  async read(): Promise<TrainVectors> {
    await this.compiled.read(Object.values(feeds(this.current)));
    return this.current;
  }

  async run(
    [batch]: readonly Readonly<Record<string, Feed>>[],
    step: number,
    learningRate: number,
    emaDecay: number,
  ): Promise<Record<string, TypedArray>> {
    const numbers = coefficients(this.optimizer, step, learningRate, emaDecay);
    const out = await this.compiled.run(
      {
        ...feeds(this.current),
        coefficients: { data: numbers, shape: [COEFFICIENTS], dtype: 'float32' },
        ...batch,
      },
      feeds(this.spare),
    );
    if (Number.isFinite(out.loss[0]) && Number.isFinite(out.gradNorm[0])) {
      [this.current, this.spare] = [this.spare, this.current];
    }
    return Object.fromEntries(Object.entries(out).filter(([name]) => !vectorNames.includes(name as never)));
  }

  endProfiling(): void {
    this.compiled.endProfiling();
  }

  dispose(): Promise<void> {
    return this.compiled.dispose();
  }
}

const feeds = (vectors: TrainVectors): Record<string, Feed> =>
  Object.fromEntries(
    vectorNames.map((name) => [
      name,
      { data: vectors[name], shape: [vectors[name].length], dtype: 'float32' },
    ]),
  );
