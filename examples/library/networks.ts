/**
 * A network as a function: of its config, its parameters and its inputs. Compiled for ONNX Runtime it is fast; run as it
 * is, by tfjs, it gives the same.
 *
 *   npx tsx examples/library/networks.ts
 */
import { fileURLToPath } from 'node:url';
import {
  Compiled,
  initParams,
  type Params,
  parseUNet2DConfig,
  Random,
  tf,
  unet2d,
  unet2dSpecs,
  unflatten,
} from 'sumi';

/** @returns the largest difference between the two */
export async function main(): Promise<number> {
  const config = parseUNet2DConfig({
    sample_size: 8,
    block_out_channels: [8, 16],
    down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
    up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
    norm_num_groups: 4,
  });
  const specs = unet2dSpecs(config); // names and shapes, as in diffusers
  const flat = initParams(specs, new Random(0)); // all parameters, one after another
  const x = new Random(1).normal(8 * 8 * 3);

  const compiled = new Compiled(({ flat, sample, timesteps }) => ({
    noise: unet2d(
      config,
      unflatten(specs, flat as tf.Tensor1D) as Params,
      sample as tf.Tensor4D,
      timesteps as tf.Tensor1D,
    ),
  }));
  const { noise } = await compiled.run({
    flat: { data: flat, shape: [flat.length], dtype: 'float32' },
    sample: { data: x, shape: [1, 8, 8, 3], dtype: 'float32' },
    timesteps: { data: Float32Array.of(500), shape: [1], dtype: 'float32' },
  });
  await compiled.dispose();

  await tf.setBackend('cpu');
  const eager = tf.tidy(() => {
    const params = unflatten(specs, tf.tensor1d(flat));
    return unet2d(config, params, tf.tensor4d(x, [1, 8, 8, 3]), tf.tensor1d([500])).dataSync<'float32'>();
  });
  return eager.reduce((most, v, i) => Math.max(most, Math.abs(v - noise[i])), 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await main());
