import type { Params } from '../engine/params.js';
import { type Scalar, type Tensor, tf } from '../engine/tf.js';

/** The loss of a batch, with further scalars to report; differentiable in the parameters. */
export type LossFunction = (
  params: Params,
  batch: Record<string, Tensor>,
) => { loss: Scalar; metrics?: Record<string, Scalar> };

/** The loss, its gradients in the order of `names`, and what the loss reports. */
export function gradients(
  names: readonly string[],
  lossOf: LossFunction,
  params: Params,
  batch: Record<string, Tensor>,
): { loss: Scalar; grads: Tensor[]; metrics: Record<string, Scalar> } {
  let kept: Record<string, Scalar> = {};
  const objective = (...views: Tensor[]): Scalar => {
    const { loss, metrics = {} } = lossOf(
      Object.fromEntries(names.map((name, i) => [name, views[i]])),
      batch,
    );
    // tfjs frees everything made in here but the loss and the gradients.
    kept = mapValues(metrics, (t) => tf.keep(t));
    return loss;
  };
  const { value, grads } = tf.valueAndGrads(objective as never)(names.map((name) => params[name]));
  const metrics = mapValues(kept, (t) => tf.clone(t));
  tf.dispose(kept);
  return { loss: value as Scalar, grads, metrics };
}

function mapValues<T, U>(record: Record<string, T>, f: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value)]));
}
