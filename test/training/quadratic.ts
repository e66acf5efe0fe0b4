/** A training stage that takes microseconds a step: what the loop does can be seen without a network. */
import type { ParamSpec } from '../../src/engine/params.js';
import { type Scalar, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import type { Stage, StageSettings } from '../../src/training/loop.js';

export const settings: StageSettings = {
  batch_size: 2,
  learning_rate: 0.05,
  lr_warmup_steps: 3,
  lr_scheduler: 'cosine',
  steps: 12,
  checkpoint_every: 4,
  ema_decay: 0.9,
  adam_beta1: 0.9,
  adam_beta2: 0.99,
  adam_epsilon: 1e-8,
  adam_weight_decay: 1e-3,
  max_grad_norm: 1,
};

const specs: readonly ParamSpec[] = [
  { name: 'w', shape: [4, 3], init: { normal: 1 } },
  { name: 'b', shape: [3], init: { constant: 0 } },
];

interface Poison {
  /** A step whose batch is NaN, the first `times` that it is asked for. */
  readonly poison?: number;
  readonly times?: number;
  readonly fingerprint?: string;
}

/** Least squares of a linear layer on noisy data. */
export function quadraticStage(
  dir: string,
  change: Partial<StageSettings> = {},
  { poison = 0, times = Infinity, fingerprint = 'one' }: Poison = {},
): Stage & { readonly published: number[] } {
  const random = new Random(5);
  const published: number[] = [];
  let poisoned = 0;
  return {
    name: 'line',
    dir,
    settings: { ...settings, ...change },
    specs,
    loss: (params, { x, y }) => {
      const error = tf.sub(tf.add(tf.matMul(x as never, params.w as never), params.b), y);
      const loss = tf.mean(tf.square(error)) as Scalar;
      return { loss, metrics: { largest: tf.max(tf.abs(error)) as Scalar } };
    },
    init: () => {
      const drawn = random.fork('init').normal(15);
      return Float32Array.from(drawn);
    },
    batch: (step) => {
      const x = Float32Array.from(random.fork('x', step).normal(8));
      const y = Float32Array.from(random.fork('y', step).normal(6), (v, i) => v * 0.1 + x[i]);
      if (step === poison && poisoned++ < times) y[0] = Number.NaN;
      return {
        x: { data: x, shape: [2, 4], dtype: 'float32' },
        y: { data: y, shape: [2, 3], dtype: 'float32' },
      };
    },
    fingerprint,
    publish: async (_, step) => {
      published.push(step);
      return {};
    },
    published,
  };
}
