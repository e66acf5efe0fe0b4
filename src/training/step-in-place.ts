/**
 * A step of training as two graphs, for engines that compute in main memory: the gradients, then the update, in place
 * and in chunks that stay in the processor's cache. Nothing is held twice: parameters are fed and gradients fetched as
 * views of flat vectors.
 */
import { Compiled, type CompileOptions, type TensorFunction } from '../engine/compile.js';
import type { TypedArray } from '../engine/graph.js';
import { type ParamSpec, viewParams } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { tf } from '../engine/tf.js';
import {
  adamW,
  COEFFICIENTS,
  clipScale,
  coefficients,
  type OptimizerOptions,
  type TrainVectors,
  vectorNames,
} from './adamw.js';
import { gradients, type LossFunction } from './gradients.js';
import type { Stepping } from './stepping.js';

/** Elements that are updated at once: the vectors of an update and what lies between are about ten times as many. */
export const CHUNK = 2 ** 17;

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

const update: TensorFunction = ({ params, m, v, ema, grads, coefficients: numbers }) =>
  adamW({ params, m, v, ema }, grads, numbers);

export class StepInPlace implements Stepping {
  private readonly gradients: Compiled;
  private readonly update: Compiled;
  private readonly grads: Float32Array;
  private readonly params: Record<string, Feed>;
  private readonly gradsByName: Record<string, Feed>;

  constructor(
    specs: readonly ParamSpec[],
    loss: LossFunction,
    private readonly vectors: TrainVectors,
    private readonly optimizer: OptimizerOptions,
    options: CompileOptions,
  ) {
    this.grads = new Float32Array(vectors.params.length);
    this.params = feeds(specs, vectors.params, paramName);
    this.gradsByName = feeds(specs, this.grads, gradName);
    const names = specs.map((spec) => spec.name);
    this.gradients = new Compiled(gradientFunction(names, loss), { name: 'training step', ...options });
    this.update = new Compiled(update, {
      ...options,
      name: 'update',
      onBuild: undefined,
      profile: undefined,
    });
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
    const out = await this.gradients.run({ ...this.params, ...batch }, this.gradsByName);
    const [gradNorm] = out.gradNorm;
    if (Number.isFinite(out.loss[0]) && Number.isFinite(gradNorm)) {
      const scale = clipScale(gradNorm, this.optimizer.maxGradNorm);
      await this.apply(coefficients(this.optimizer, step, learningRate, emaDecay, scale));
    }
    return Object.fromEntries(Object.entries(out).filter(([name]) => !(name in this.gradsByName)));
  }

  private async apply(numbers: Float32Array): Promise<void> {
    const given: Feed = { data: numbers, shape: [COEFFICIENTS], dtype: 'float32' };
    for (let from = 0; from < this.grads.length; from += CHUNK) {
      const chunk = (vector: Float32Array): Feed => {
        const data = vector.subarray(from, from + CHUNK);
        return { data, shape: [data.length], dtype: 'float32' };
      };
      const into = Object.fromEntries(vectorNames.map((name) => [name, chunk(this.vectors[name])]));
      await this.update.run({ ...into, grads: chunk(this.grads), coefficients: given }, into);
    }
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
