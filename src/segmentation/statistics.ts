/**
 * The running statistics of batch norm for weights that are ready. Training's forward pass uses each batch's own, and
 * the published weights are an average of many steps', whose statistics no step has seen: so these are measured anew,
 * as the mean over batches of training patches (Wu & Johnson 2021, "Rethinking Batch in BatchNorm", §3).
 */
import { Compiled, type CompileOptions } from '../engine/compile.js';
import { countParams, offsetsOf, type ParamSpec, type Params } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import { type Tensor, type Tensor4D, tf } from '../engine/tf.js';
import { asConstants } from '../pipelines/constants.js';
import { BATCH_SHARE } from '../unet/batchnorm.js';
import { type ClassicUNetConfig, classicUNet, classicUNetSpecs, isBuffer } from '../unet/index.js';

/** What has a gradient, and the running statistics of the norms, which play no part in training's forward pass. */
export function splitSpecs(config: ClassicUNetConfig): { trained: ParamSpec[]; buffers: ParamSpec[] } {
  const specs = classicUNetSpecs(config);
  return { trained: specs.filter((spec) => !isBuffer(spec)), buffers: specs.filter(isBuffer) };
}

/** Parameters together with statistics of 0. */
export function withBlankStatistics(config: ClassicUNetConfig, params: Params): Params {
  const blank = splitSpecs(config).buffers.map(({ name, shape }): [string, Tensor] => [
    name,
    tf.zeros([...shape]),
  ]);
  return { ...params, ...Object.fromEntries(blank) };
}

/**
 * Completes trained parameters by the statistics of batches.
 * @param trained in the order of `splitSpecs(config).trained`
 * @param batches `pixels` [N, H, W, 3], all of one shape
 * @returns all parameters in the order of `classicUNetSpecs(config)`
 */
export async function measureStatistics(
  config: ClassicUNetConfig,
  trained: Float32Array,
  batches: readonly Feed[],
  options: Pick<CompileOptions, 'engine' | 'threads'> = {},
): Promise<Float32Array> {
  const specs = classicUNetSpecs(config);
  const split = splitSpecs(config);
  const fn = ({ pixels, ...params }: Record<string, Tensor>) => {
    const complete = withBlankStatistics(config, params as Params);
    return classicUNet(config, complete, pixels as Tensor4D, { training: true }).stats;
  };
  const constants = asConstants(split.trained, trained);
  const compiled = new Compiled(fn, { ...options, constants, name: 'statistics' });
  const sums = new Map(split.buffers.map(({ name, shape }) => [name, new Float64Array(shape[0])]));
  try {
    for (const pixels of batches) {
      // From 0, the new running value is the batch's share of its own.
      const found = await compiled.run({ pixels });
      for (const [name, sum] of sums)
        for (let i = 0; i < sum.length; i++) sum[i] += Number(found[name][i]) / BATCH_SHARE / batches.length;
    }
  } finally {
    await compiled.dispose();
  }
  const flat = new Float32Array(countParams(specs));
  const offsets = offsetsOf(specs);
  let from = 0;
  for (const [i, spec] of specs.entries()) {
    const sum = sums.get(spec.name);
    const size = countParams([spec]);
    flat.set(sum ?? trained.subarray(from, from + size), offsets[i]);
    if (!sum) from += size;
  }
  return flat;
}
