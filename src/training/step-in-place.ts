/**
 * A step of training for engines that compute in main memory: a graph that gives the gradients, then the update in
 * place. Nothing is held twice: parameters are fed and gradients fetched as views of flat vectors.
 */
import { Compiled, type CompileOptions, type TensorFunction } from '../engine/compile.js';
import type { TypedArray } from '../engine/graph.js';
import { type ParamSpec, viewParams } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { tf } from '../engine/tf.js';
import { addTo, meanReport, norm } from './accumulate.js';
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
  /** Of the batches so far, where a step has several. */
  private sum: Float32Array | undefined;

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
    batches: readonly Readonly<Record<string, Feed>>[],
    step: number,
    learningRate: number,
    emaDecay: number,
  ): Promise<Record<string, TypedArray>> {
    const { length } = batches;
    const out = length === 1 ? await this.differentiate(batches[0]) : await this.accumulate(batches);
    const [gradNorm] = out.gradNorm;
    if (isSound(out)) {
      const scale = clipScale(gradNorm, this.optimizer.maxGradNorm) / length;
      await this.update.run(coefficients(this.optimizer, step, learningRate, emaDecay, scale));
    }
    return out;
  }

  /** Leaves the gradients of a batch where the update reads them. */
  private async differentiate(batch: Readonly<Record<string, Feed>>): Promise<Record<string, TypedArray>> {
    const out = await this.gradients.run({ ...this.params, ...batch }, this.grads);
    return Object.fromEntries(Object.entries(out).filter(([name]) => !(name in this.grads)));
  }

  /**
   * Leaves the sum of the batches' gradients where the update reads them.
   * @returns means over the batches and the norm of the mean gradient; of a batch without a number, that batch's own
   */
  private async accumulate(
    batches: readonly Readonly<Record<string, Feed>>[],
  ): Promise<Record<string, TypedArray>> {
    const { grads } = this.update;
    this.sum ??= new Float32Array(grads.length);
    this.sum.fill(0);
    const reports: Record<string, TypedArray>[] = [];
    for (const batch of batches) {
      const out = await this.differentiate(batch);
      if (!isSound(out)) return out;
      addTo(this.sum, grads);
      reports.push(out);
    }
    grads.set(this.sum);
    return { ...meanReport(reports), gradNorm: Float32Array.of(norm(grads) / batches.length) };
  }

  endProfiling(): void {
    this.gradients.endProfiling();
  }

  async dispose(): Promise<void> {
    await this.gradients.dispose();
    await this.update.dispose();
  }
}

const isSound = ({ loss, gradNorm }: Record<string, TypedArray>): boolean =>
  Number.isFinite(loss[0]) && Number.isFinite(gradNorm[0]);

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
