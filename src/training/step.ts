/**
 * One step of training as one function of tensors: forward pass, tfjs's autodiff, clipping by global norm,
 * AdamW and EMA, over flat vectors of all parameters. Compiled, the whole step is a single graph.
 */
import { Compiled, type CompileOptions, type TensorFunction } from '../engine/compile.js';
import type { TypedArray } from '../engine/graph.js';
import { countParams, type ParamSpec, type Params, unflatten } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { type Scalar, type Tensor, type Tensor1D, tf } from '../engine/tf.js';

/** The loss of a batch, with further scalars to report; differentiable in the parameters. */
export type LossFunction = (
  params: Params,
  batch: Record<string, Tensor>,
) => { loss: Scalar; metrics?: Record<string, Scalar> };

export interface OptimizerOptions {
  /** Adam's decay of the first moment (Kingma & Ba 2015). */
  readonly beta1: number;
  /** Adam's decay of the second moment. */
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled weight decay (Loshchilov & Hutter 2019, AdamW), per step and unit of learning rate. */
  readonly weightDecay: number;
  /** Largest global norm of the gradient; 0 leaves it as it is. */
  readonly maxGradNorm: number;
}

/** AdamW in diffusers' training examples, with the gradient's norm held to 1. */
export const defaultOptimizer: OptimizerOptions = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 1e-6,
  maxGradNorm: 1,
};

/** What changes from step to step: parameters, both Adam moments and the averaged parameters, all flat. */
export interface TrainVectors {
  readonly params: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly ema: Float32Array;
}

export function freshVectors(params: Float32Array): TrainVectors {
  const n = params.length;
  return { params, m: new Float32Array(n), v: new Float32Array(n), ema: params.slice() };
}

const vectorNames = ['params', 'm', 'v', 'ema'] as const;

/** The step as a function of tensors; `hyper` is [learning rate, 1 - β1^t, 1 - β2^t, EMA decay]. */
export function stepFunction(
  specs: readonly ParamSpec[],
  lossOf: LossFunction,
  opt: OptimizerOptions,
): TensorFunction {
  return ({ params, m, v, ema, hyper, ...batch }) => {
    const named = unflatten(specs, params as Tensor1D);
    const names = specs.map((spec) => spec.name);
    let metrics: Record<string, Scalar> = {};
    const objective = (...views: Tensor[]): Scalar => {
      const result = lossOf(Object.fromEntries(names.map((name, i) => [name, views[i]])), batch);
      // tfjs frees everything made in here but the loss and the gradients.
      metrics = mapValues(result.metrics ?? {}, (t) => tf.keep(t));
      return result.loss;
    };
    const { value: loss, grads } = tf.valueAndGrads(objective as never)(names.map((name) => named[name]));
    const reported = mapValues(metrics, (t) => tf.clone(t));
    tf.dispose(metrics);
    const flat = tf.concat(grads.map((g) => tf.reshape(g, [-1])));
    const gradNorm = tf.sqrt(tf.sum(tf.square(flat)));
    const g = opt.maxGradNorm
      ? tf.mul(flat, tf.minimum(1, tf.div(opt.maxGradNorm, tf.add(gradNorm, 1e-6))))
      : flat;
    const [lr, correction1, correction2, decay] = [0, 1, 2, 3].map((i) => tf.slice(hyper as Tensor1D, i, 1));
    const nextM = tf.add(tf.mul(m, opt.beta1), tf.mul(g, 1 - opt.beta1));
    const nextV = tf.add(tf.mul(v, opt.beta2), tf.mul(tf.square(g), 1 - opt.beta2));
    const scale = tf.add(tf.sqrt(tf.div(nextV, correction2)), opt.epsilon);
    const update = tf.div(tf.mul(nextM, tf.div(lr, correction1)), scale);
    const decayed = tf.mul(params, tf.sub(1, tf.mul(lr, opt.weightDecay)));
    const next = tf.sub(decayed, update);
    const nextEma = tf.add(tf.mul(ema, decay), tf.mul(next, tf.sub(1, decay)));
    return { params: next, m: nextM, v: nextV, ema: nextEma, loss, gradNorm, ...reported };
  };
}

function mapValues<T, U>(record: Record<string, T>, f: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value)]));
}

export interface StepResult {
  readonly loss: number;
  readonly gradNorm: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Runs training steps on vectors that it owns. Two sets of buffers take turns, so a step that fails or gives NaN
 * leaves the last good state untouched.
 */
export class TrainStep {
  private readonly compiled: Compiled;
  private current: TrainVectors;
  private spare: TrainVectors;
  private readonly size: number;

  constructor(
    specs: readonly ParamSpec[],
    loss: LossFunction,
    vectors: TrainVectors,
    private readonly optimizer: OptimizerOptions = defaultOptimizer,
    options: CompileOptions = {},
  ) {
    this.size = countParams(specs);
    this.current = vectors;
    this.spare = freshVectors(new Float32Array(this.size));
    this.compiled = new Compiled(stepFunction(specs, loss, optimizer), {
      name: 'training step',
      resident: vectorNames,
      ...options,
    });
  }

  /** The state after the last step. The arrays are reused: copy what must outlive the next step. */
  async read(): Promise<TrainVectors> {
    await this.compiled.read(Object.values(this.feeds(this.current)));
    return this.current;
  }

  private feeds(vectors: TrainVectors): Record<string, Feed> {
    const shape = [this.size];
    return Object.fromEntries(
      vectorNames.map((name) => [name, { data: vectors[name], shape, dtype: 'float32' as const }]),
    );
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
    const { beta1, beta2 } = this.optimizer;
    const hyper = Float32Array.of(learningRate, 1 - beta1 ** step, 1 - beta2 ** step, emaDecay);
    const out = await this.compiled.run(
      { ...this.feeds(this.current), hyper: { data: hyper, shape: [4], dtype: 'float32' }, ...batch },
      this.feeds(this.spare),
    );
    const scalar = (a: TypedArray) => Number(a[0]);
    const [loss, gradNorm] = [scalar(out.loss), scalar(out.gradNorm)];
    if (Number.isFinite(loss) && Number.isFinite(gradNorm)) {
      [this.current, this.spare] = [this.spare, this.current];
    }
    const known = new Set<string>([...vectorNames, 'loss', 'gradNorm']);
    const rest = Object.entries(out).filter(([name]) => !known.has(name));
    return { loss, gradNorm, metrics: Object.fromEntries(rest.map(([name, a]) => [name, scalar(a)])) };
  }

  endProfiling(): void {
    this.compiled.endProfiling();
  }

  async dispose(): Promise<void> {
    await this.compiled.dispose();
  }
}
