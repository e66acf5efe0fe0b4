/**
 * Gradients of whole networks against central finite differences. The outputs are float32, so a difference is
 * only as good as the output's rounding over the step: the sum over the outputs is taken in float64, the direction
 * is the gradient's own (where the loss changes most), and four points cancel the error of third order.
 */
import { describe, expect, it } from 'vitest';
import {
  autoencoderSpecs,
  decode,
  encode,
  parseAutoencoderConfig,
  sampleLatents,
} from '../../src/autoencoder/index.js';
import { Compiled } from '../../src/engine/compile.js';
import { sizeOf } from '../../src/engine/graph.js';
import { countParams, initParams, type ParamSpec, type Params, unflatten } from '../../src/engine/params.js';
import type { Feed } from '../../src/engine/session.js';
import { type Scalar, type Tensor, type Tensor1D, type Tensor4D, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import {
  classicUNet,
  classicUNetSpecs,
  parseClassicUNetConfig,
  parseUNet2DConfig,
  unet2d,
  unet2dSpecs,
} from '../../src/unet/index.js';
import { feed } from './helpers.js';

type Network = (params: Params, inputs: Record<string, Tensor>) => Tensor;

/** Fixed weights of the outputs in the loss Σ wᵢ·yᵢ, so that no symmetry hides a fault. */
const weightOf = (i: number) => Math.sin(1 + i * 0.7);

/** Lengths of a step in units of the parameter's own length, for smooth networks and for those with kinks. */
const smooth = [0.1, 0.03, 0.01, 0.003];
const kinked = [3e-3, 1e-3, 3e-4, 1e-4];

interface Case {
  specs: readonly ParamSpec[];
  network: Network;
  inputs: Record<string, Feed>;
  steps: readonly number[];
  /** Not differentiated: running statistics. */
  isBuffer?: (name: string) => boolean;
}

/**
 * Compares each parameter's gradient, along itself, with differences of the loss.
 * @returns the largest error of any parameter, relative to its gradient's length or a hundredth of the largest
 */
async function worstError({ specs, network, inputs, steps, isBuffer = () => false }: Case): Promise<number> {
  const start = initParams(specs, new Random(11));
  // Away from the zeros and ones that norms and last convolutions start with.
  const shake = new Random(12).normal(start.length);
  for (let i = 0; i < start.length; i++) start[i] += 0.1 * shake[i];
  let at = 0;
  const places = specs.map((spec) => {
    const from = at;
    at += sizeOf(spec.shape);
    return { ...spec, from, to: at };
  });
  for (const { name, from, to } of places)
    if (name.endsWith('running_var')) start.subarray(from, to).fill(0.8);

  const flat = (data: Float32Array): Feed => ({ data, shape: [countParams(specs)], dtype: 'float32' });
  const forward = new Compiled(
    ({ theta, ...x }) => ({ y: network(unflatten(specs, theta as Tensor1D), x) }),
    { threads: 1 },
  );
  const backward = new Compiled(
    ({ theta, ...x }) => {
      const loss = (t: Tensor): Scalar => {
        const y = network(unflatten(specs, t as Tensor1D), x);
        const weights = tf.tensor(
          Float32Array.from({ length: y.size }, (_, i) => weightOf(i)),
          y.shape,
        );
        return tf.sum(tf.mul(y, weights)) as Scalar;
      };
      return { g: tf.grad(loss)(theta) };
    },
    { threads: 1 },
  );
  const lossAt = async (theta: Float32Array): Promise<number> => {
    const { y } = await forward.run({ theta: flat(theta), ...inputs });
    let sum = 0;
    for (let i = 0; i < y.length; i++) sum += y[i] * weightOf(i);
    return sum;
  };
  try {
    const g = (await backward.run({ theta: flat(start), ...inputs })).g as Float32Array;
    const norm = (a: Float32Array) => Math.hypot(...a);
    const largest = Math.max(...places.map(({ from, to }) => norm(g.subarray(from, to))));
    let worst = 0;
    for (const { name, from, to } of places) {
      if (isBuffer(name)) continue;
      const own = g.subarray(from, to);
      const length = norm(own);
      // Along a gradient that vanishes by symmetry (a bias before a norm) any direction will do.
      const random = new Random(13, name).normal(to - from);
      const direction =
        length > 1e-5 * largest ? own.map((v) => v / length) : random.map((v) => v / norm(random));
      let slope = 0;
      for (let i = 0; i < own.length; i++) slope += own[i] * direction[i];
      const size = Math.max(0.1 * Math.sqrt(to - from), norm(start.subarray(from, to)));
      const errors: number[] = [];
      for (const step of steps) {
        const h = step * size;
        const moved = async (k: number) => {
          const theta = start.slice();
          for (let i = from; i < to; i++) theta[i] += k * h * direction[i - from];
          return lossAt(theta);
        };
        const [far, near] = [(await moved(2)) - (await moved(-2)), (await moved(1)) - (await moved(-1))];
        const difference = (8 * near - far) / (12 * h);
        errors.push(Math.abs(difference - slope) / Math.max(length, 1e-2 * largest));
      }
      // A wrong gradient is wrong at every step; rounding spoils the short ones, curves and kinks the long ones.
      const error = Math.min(...errors);
      if (process.env.SUMI_SHOW_ERRORS && error > 2e-4) console.log(name, slope, error);
      worst = Math.max(worst, error);
    }
    if (process.env.SUMI_SHOW_ERRORS) console.log('worst', worst);
    return worst;
  } finally {
    await forward.dispose();
    await backward.dispose();
  }
}

describe('gradients are slopes', () => {
  it.each([
    ['with attention and classes', { resnet_time_scale_shift: 'default' as const }],
    ['with scale and shift', { resnet_time_scale_shift: 'scale_shift' as const }],
    [
      'with Skip blocks and halvings by residual blocks',
      {
        down_block_types: ['SkipDownBlock2D' as const, 'AttnDownBlock2D' as const],
        up_block_types: ['AttnUpBlock2D' as const, 'SkipUpBlock2D' as const],
        upsample_type: 'resnet' as const,
      },
    ],
  ])('of a UNet2D %s', async (_, change) => {
    const config = parseUNet2DConfig({
      sample_size: 8,
      in_channels: 3,
      out_channels: 3,
      block_out_channels: [8, 12],
      norm_num_groups: 4,
      layers_per_block: 1,
      down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
      up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
      attention_head_dim: 4,
      num_class_embeds: 3,
      downsample_padding: 0,
      ...change,
    });
    const error = await worstError({
      specs: unet2dSpecs(config),
      network: (p, x) =>
        unet2d(config, p, x.sample as Tensor4D, x.timesteps as Tensor1D, x.labels as Tensor1D),
      inputs: {
        sample: feed([2, 8, 8, 3], 1),
        timesteps: { data: Float32Array.of(3, 610), shape: [2], dtype: 'float32' },
        labels: { data: Int32Array.of(2, 0), shape: [2], dtype: 'int32' },
      },
      steps: smooth,
    });
    expect(error).toBeLessThan(5e-4);
  });

  it('of an AutoencoderKL', async () => {
    const config = parseAutoencoderConfig({
      sample_size: 8,
      block_out_channels: [8, 12],
      norm_num_groups: 4,
      layers_per_block: 1,
      latent_channels: 3,
      down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
      up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
      mid_block_add_attention: true,
    });
    const error = await worstError({
      specs: autoencoderSpecs(config),
      network: (p, x) => {
        const { mean, logvar } = encode(config, p, x.pictures as Tensor4D);
        return decode(config, p, sampleLatents(mean, logvar, x.noise as Tensor4D));
      },
      inputs: { pictures: feed([2, 8, 8, 3], 1), noise: feed([2, 4, 4, 3], 2) },
      steps: smooth,
    });
    expect(error).toBeLessThan(5e-4);
  });

  it('of the classic U-Net in training, between its kinks', async () => {
    const config = parseClassicUNetConfig({ base: 4, levels: 2, n_classes: 2 });
    const error = await worstError({
      specs: classicUNetSpecs(config),
      network: (p, x) => classicUNet(config, p, x.sample as Tensor4D, { training: true }).logits,
      inputs: { sample: feed([2, 8, 8, 3], 1) },
      steps: kinked,
      isBuffer: (name) => /running_(mean|var)$/.test(name),
    });
    expect(error).toBeLessThan(1e-2);
  });
});
