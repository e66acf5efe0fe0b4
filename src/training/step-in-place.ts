/**
 * A step of training for engines that compute in main memory: a graph that gives the gradients, then the update in
 * place. Nothing is held twice: parameters are fed and gradients fetched as views of flat vectors.
 */
import { Compiled, type CompileOptions, type TensorFunction } from '../engine/compile.js';
import type { TypedArray } from '../engine/graph.js';
import { type ParamSpec, viewParams } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { tf } from '../engine/tf.js';
import { clipScale, coefficients, type OptimizerOptions } from './adamw.js';
import { gradients, type LossFunction } from './gradients.js';
import type { Stepping } from './stepping.js';
import { type Update, updateOf } from './update.js';
import type { TrainVectors } from './vectors.js';

const paramName = (name: string): string => `params.${name}`;
const gradName = (name: string): string => `grads.${name}`;

/** Loss and gradients as a function of the parameters by name and the batch. */
function gradientFunction(names: readonly string[], lossOf: LossFunction): TensorFunction {
  return (inputs) => {
    const params = Object.fromEntries(names.map((name) => [name, inputs[paramName(name)]]));
    const { loss, grads, metrics } = gradients(names, lossOf, params, inputs);
    const gradNorm = tf.sqrt(tf.addN(grads.map((g) => tf.sum(tf.square(g)))));
    const named = Object.fromEntries(names.map((name, i) => [gradName(name), grads[i]]));
    return { ...named, loss, gradNorm, ...metrics };
  };
}

export class StepInPlace implements Stepping {
  private readonly gradients: Compiled;
  private readonly update: Update;
  private readonly params: Record<string, Feed>;
  private readonly grads: Record<string, Feed>;

  constructor(
    specs: readonly ParamSpec[],
    loss: LossFunction,
    private readonly vectors: TrainVectors,
    private readonly optimizer: OptimizerOptions,
    options: CompileOptions,
  ) {
    this.update = updateOf(vectors, options);
    this.params = feeds(specs, vectors.params, paramName);
    this.grads = feeds(specs, this.update.grads, gradName);
    const names = specs.map((spec) => spec.name);
    this.gradients = new Compiled(gradientFunction(names, loss), { name: 'training step', ...options });
  }

  async read(): Promise<TrainVectors> {
    return this.vectors;
  }

  async run(
    batch: Readonly<Record<string, Feed>>,
    step: number,
    learningRate: number,
    emaDecay: number,
  ): Promise<Record<string, TypedArray>> {
    const out = await this.gradients.run({ ...this.params, ...batch }, this.grads);
    const [gradNorm] = out.gradNorm;
    if (Number.isFinite(out.loss[0]) && Number.isFinite(gradNorm)) {
      const scale = clipScale(gradNorm, this.optimizer.maxGradNorm);
      await this.update.run(coefficients(this.optimizer, step, learningRate, emaDecay, scale));
    }
    return Object.fromEntries(Object.entries(out).filter(([name]) => !(name in this.grads)));
  }

  endProfiling(): void {
    this.gradients.endProfiling();
  }

  async dispose(): Promise<void> {
    await this.gradients.dispose();
    await this.update.dispose();
  }
}

function feeds(
  specs: readonly ParamSpec[],
  flat: Float32Array,
  rename: (name: string) => string,
): Record<string, Feed> {
  const views = viewParams(specs, flat);
  return Object.fromEntries(
    specs.map(({ name, shape }) => [rename(name), { data: views[name], shape, dtype: 'float32' }]),
  );
}
