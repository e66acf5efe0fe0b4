/**
 * Writes checkpoints for real diffusers to open (checkpoint.py), with a noisy picture and the network's answer to
 * it in each.
 *
 *   npx tsc -p tsconfig.json --outDir dist
 *   node dist/bench/interop/checkpoint.js OUT && python bench/interop/checkpoint.py OUT
 */
import { join } from 'node:path';
import { autoencoderSpecs, decode, parseAutoencoderConfig } from '../../src/autoencoder/index.js';
import { loadParams } from '../../src/checkpoint/load.js';
import { readPipelineDir } from '../../src/checkpoint/pipeline.js';
import { type FloatDtype, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { type ModelToWrite, writePipelineDir } from '../../src/checkpoint/write.js';
import { initParams, type ParamSpec, unflatten } from '../../src/engine/params.js';
import { type Tensor, type Tensor1D, type Tensor4D, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import { parseUNet2DConfig, type UNet2DConfigInput, unet2d, unet2dSpecs } from '../../src/unet/index.js';

const out = process.argv[2];
if (!out) throw new Error('usage: checkpoint.js OUT');

const small: UNet2DConfigInput = {
  sample_size: 8,
  block_out_channels: [16, 32],
  down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
  up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
  layers_per_block: 1,
  norm_num_groups: 8,
};
const scheduler = (className: string) => ({
  className,
  config: { num_train_timesteps: 1000, beta_start: 1e-4, beta_end: 0.02, beta_schedule: 'linear' },
});
const model = (className: string, config: ModelToWrite['config'], specs: ParamSpec[], seed: number) => ({
  className,
  config,
  weights: { specs, params: initParams(specs, new Random(seed)) },
});

async function unetCase(name: string, input: UNet2DConfigInput, schedulerClass: string, dtype: FloatDtype) {
  const config = parseUNet2DConfig(input);
  const specs = unet2dSpecs(config);
  const dir = join(out, name);
  await writePipelineDir(
    dir,
    {
      unet: model('UNet2DModel', config, specs, 1),
      scheduler: scheduler(schedulerClass),
      sumi: { labels: ['a', 'b'] },
    },
    dtype,
  );
  const params = unflatten(
    specs,
    tf.tensor1d(await loadParams(specs, (await readPipelineDir(dir)).unet.weights)),
  );
  const sample = tf.tensor4d(new Random(2).normal(2 * 8 * 8 * 3), [2, 8, 8, 3]);
  const labels = config.num_class_embeds ? tf.tensor1d([0, 2], 'int32') : undefined;
  const answer = unet2d(config, params, sample, tf.tensor1d([10, 500]), labels);
  await record(dir, sample, answer);
}

async function record(dir: string, sample: Tensor4D, answer: Tensor): Promise<void> {
  const nchw = (t: Tensor) => {
    const moved = tf.transpose(t, [0, 3, 1, 2]);
    return { shape: moved.shape, data: moved.dataSync() as Float32Array };
  };
  await writeSafetensors(join(dir, 'check.safetensors'), { sample: nchw(sample), answer: nchw(answer) });
}

async function latentCase(): Promise<void> {
  const vae = parseAutoencoderConfig({
    block_out_channels: [16, 16],
    down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
    up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    norm_num_groups: 8,
    latent_channels: 3,
    sample_size: 16,
  });
  const config = parseUNet2DConfig(small);
  const specs = autoencoderSpecs(vae);
  const dir = join(out, 'latents');
  const autoencoder = model('AutoencoderKL', vae, specs, 3);
  await writePipelineDir(dir, {
    unet: model('UNet2DModel', config, unet2dSpecs(config), 1),
    autoencoder,
    scheduler: scheduler('DDIMScheduler'),
  });
  const latents = tf.tensor4d(new Random(2).normal(2 * 8 * 8 * 3), [2, 8, 8, 3]);
  await record(
    dir,
    latents,
    decode(vae, unflatten(specs, tf.tensor1d(autoencoder.weights.params) as Tensor1D), latents),
  );
}

await tf.setBackend('cpu');
await unetCase('ddpm', small, 'DDPMScheduler', 'F32');
await unetCase('ddim', small, 'DDIMScheduler', 'F32');
await unetCase('half', small, 'DDPMScheduler', 'F16');
await unetCase('bfloat', small, 'DDPMScheduler', 'BF16');
await unetCase('classes', { ...small, num_class_embeds: 3 }, 'DDPMScheduler', 'F32');
await latentCase();
