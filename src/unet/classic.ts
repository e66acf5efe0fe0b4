import { z } from 'zod';
import { conv2d, convTranspose2d, relu } from '../engine/ops.js';
import type { ParamSpec, Params } from '../engine/params.js';
import { type Tensor1D, type Tensor4D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { batchNorm, batchNormSpecs } from './batchnorm.js';
import { conv, convSpecs, param, weightSpecs } from './layers.js';
import { centrePad, maxPool2x } from './movement.js';
import { parseConfig, positive } from './validate.js';

const schema = z.strictObject({
  /** Channels of the picture. */
  n_channels: positive.default(3),
  /** Channels of the result: one logit for each class and pixel. */
  n_classes: positive.default(2),
  /** Width of the highest level; each level below has twice as many channels. */
  base: positive.default(64),
  /** How often the picture is halved. */
  levels: z.number().int().min(1).max(10).default(4),
  /** Biases in the 3×3 convolutions. The norm after each makes them idle, but some published weights have them. */
  conv_bias: z.boolean().default(false),
});

/** Shape of a classic U-Net, defaults filled in: the paper's 64-128-256-512-1024. */
export type ClassicUNetConfig = Readonly<z.output<typeof schema>>;
export type ClassicUNetInput = Readonly<z.input<typeof schema>>;

/**
 * Checks and completes the config of a classic U-Net.
 * @param where the file or option it came from, for messages
 * @throws InputError naming the key
 */
export function parseClassicUNetConfig(value: unknown, where = 'config.json'): ClassicUNetConfig {
  return parseConfig(schema, value, 'UNet', where);
}

const widthOf = (config: ClassicUNetConfig, level: number) => config.base * 2 ** level;

function doubleConvSpecs(config: ClassicUNetConfig, name: string, inp: number, out: number): ParamSpec[] {
  return [
    ...convSpecs(`${name}.0`, inp, out, 3, config.conv_bias),
    ...batchNormSpecs(`${name}.1`, out),
    ...convSpecs(`${name}.3`, out, out, 3, config.conv_bias),
    ...batchNormSpecs(`${name}.4`, out),
  ];
}

/** Levels numbered as the parameters are: down1, down2, … */
const counted = (levels: number) => Array.from({ length: levels }, (_, i) => i + 1);

/**
 * Parameters and buffers of a classic U-Net in PyTorch's layout and the names that published weights have
 * (`inc.double_conv.0.weight` … `outc.conv.bias`). The counters `num_batches_tracked` of PyTorch's norms play no
 * part and are not among them. Names that end in `running_mean` or `running_var` are buffers: they have no gradient.
 */
export function classicUNetSpecs(config: ClassicUNetConfig): ParamSpec[] {
  const { levels } = config;
  const width = (level: number) => widthOf(config, level);
  return [
    ...doubleConvSpecs(config, 'inc.double_conv', config.n_channels, width(0)),
    ...counted(levels).flatMap((i) =>
      doubleConvSpecs(config, `down${i}.maxpool_conv.1.double_conv`, width(i - 1), width(i)),
    ),
    ...counted(levels).flatMap((i) => {
      const [below, here] = [width(levels - i + 1), width(levels - i)];
      return [
        // PyTorch takes the second dimension, here the output, for a transposed convolution's fan in
        ...weightSpecs(`up${i}.up`, [below, here, 2, 2], here * 4, here),
        ...doubleConvSpecs(config, `up${i}.conv.double_conv`, 2 * here, here),
      ];
    }),
    ...convSpecs('outc.conv', width(0), config.n_classes, 1),
  ];
}

/** Logits and, after training's forward pass, the new running statistics by parameter name (empty in evaluation). */
export interface ClassicUNetResult {
  /** [N, H, W, n_classes], before sigmoid or softmax. */
  readonly logits: Tensor4D;
  /** [C] each; constants to the gradient. Put them in place of the parameters of the same names. */
  readonly stats: Readonly<Record<string, Tensor1D>>;
}

/**
 * The U-Net of Ronneberger, Fischer & Brox (2015) for segmentation: a contracting path of doubled 3×3 convolutions
 * and 2×2 max pooling, an expanding path of 2×2 transposed convolutions, and skips between them. Unlike the
 * paper's, its convolutions are padded and followed by batch norm, so the result has the size of the input; any
 * size works, as each upsampled picture is padded to its skip. A pure function that reads no values.
 * @param params by the names of `classicUNetSpecs(config)`
 * @param x pictures [N, H, W, n_channels], each side at least 2^levels pixels
 * @param training true: norms use the batch's statistics and renew the running ones
 * @throws InputError for shapes that do not fit or a missing parameter
 */
export function classicUNet(
  config: ClassicUNetConfig,
  params: Params,
  x: Tensor4D,
  { training }: { training: boolean },
): ClassicUNetResult {
  const { levels } = config;
  checkInput(config, x);
  const stats: Record<string, Tensor1D> | null = training ? {} : null;
  return tf.tidy(() => {
    const skips = [doubleConv(config, params, 'inc.double_conv', x, stats)]; // [N, H, W, base]
    for (const i of counted(levels)) {
      const pooled = maxPool2x(skips[i - 1]);
      // [N, ⌊H/2^i⌋, ⌊W/2^i⌋, base·2^i]
      skips.push(doubleConv(config, params, `down${i}.maxpool_conv.1.double_conv`, pooled, stats));
    }
    let h = skips[levels];
    for (const i of counted(levels)) {
      const skip = skips[levels - i];
      const weight = param<Tensor4D>(params, `up${i}.up.weight`);
      const raised = convTranspose2d(h, weight, param<Tensor1D>(params, `up${i}.up.bias`), 2);
      const fitted = centrePad(raised, skip.shape[1], skip.shape[2]);
      h = doubleConv(config, params, `up${i}.conv.double_conv`, tf.concat([skip, fitted], 3), stats);
    }
    return { logits: conv(params, 'outc.conv', h), stats: stats ?? {} };
  });
}

/** (3×3 convolution – batch norm – ReLU) twice. */
function doubleConv(
  config: ClassicUNetConfig,
  params: Params,
  name: string,
  x: Tensor4D,
  stats: Record<string, Tensor1D> | null,
): Tensor4D {
  let h = x;
  for (const [convolution, norm] of [
    [0, 1],
    [3, 4],
  ]) {
    const weight = param<Tensor4D>(params, `${name}.${convolution}.weight`);
    const bias = config.conv_bias ? param<Tensor1D>(params, `${name}.${convolution}.bias`) : null;
    h = conv2d(h, weight, bias, { padding: 1 });
    h = relu(batchNorm(params, `${name}.${norm}`, h, stats));
  }
  return h;
}

function checkInput(config: ClassicUNetConfig, x: Tensor4D): void {
  const [, height, width, channels] = x.shape;
  if (x.rank !== 4 || channels !== config.n_channels) {
    throw new InputError(
      `pictures of shape [${x.shape}] — classic U-Net — give [N, H, W, ${config.n_channels}] (channels last)`,
    );
  }
  const least = 2 ** config.levels;
  if (Math.min(height, width) < least) {
    throw new InputError(
      `pictures of ${height}×${width} — classic U-Net — use at least ${least}×${least}, or fewer levels`,
    );
  }
}
