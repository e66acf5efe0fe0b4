/** The diffusion stage: the network for the data, its clean samples, and what it publishes. */
import { join } from 'node:path';
import {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  autoencoderSpecs,
  downscale,
} from '../autoencoder/index.js';
import type { JsonObject } from '../checkpoint/json.js';
import { writePipelineDir } from '../checkpoint/write.js';
import { Batches, BatchOrder, type Dataset } from '../data/index.js';
import { initParams } from '../engine/params.js';
import { Random } from '../random.js';
import { parseUNet2DConfig, UNET2D_CLASS_NAME, type UNet2DConfig, unet2dSpecs } from '../unet/index.js';
import { encodeDataset } from './autoencoder.js';
import type { TrainedAutoencoder } from './autoencoder-stage.js';
import type { TrainConfig } from './config.js';
import { diffusionLoss, Noising } from './diffusion.js';
import { weightsFrom } from './init.js';
import { fingerprintOf, runStage, type StageOptions, type StageResult } from './loop.js';
import { samplePath } from './run-dir.js';
import { sampleSheet } from './samples.js';

/** The UNet's configuration for the data: its channels, size and classes. */
export function unetFor(config: TrainConfig, vae: AutoencoderConfig | null, labels: number): UNet2DConfig {
  const channels = vae?.latent_channels ?? 3;
  const reduction = vae ? downscale(vae) : 1;
  return parseUNet2DConfig({
    ...config.diffusion.model,
    in_channels: channels,
    out_channels: channels,
    sample_size: config.size / reduction,
    // One more class than there are labels stands for "no label".
    num_class_embeds: labels > 0 ? labels + 1 : null,
  });
}

/** Trains the UNet on pixels or latents; the run's `model/` is renewed at every checkpoint. */
export async function trainDiffusion(
  run: string,
  dataset: Dataset,
  config: TrainConfig,
  vae: TrainedAutoencoder | null,
  options: StageOptions,
  initFrom: string | null,
): Promise<StageResult> {
  const { diffusion: settings } = config;
  const labels = dataset.labels.length;
  if (labels > 0 && dataset.labelIds.some((id) => id < 0)) {
    options.onNote?.('pictures without a label are trained on as unlabelled ones');
  }
  const model = unetFor(config, vae?.config ?? null, labels);
  const specs = unet2dSpecs(model);
  const random = new Random(config.seed, 'diffusion');
  const nullLabel = labels > 0 ? labels : null;
  const noising = new Noising(settings, random, nullLabel);
  const side = model.sample_size as number;
  const shape = [settings.batch_size, side, side, model.in_channels];
  const init = () => {
    const fresh = initParams(specs, random.fork('init'));
    return initFrom ? weightsFrom(initFrom, specs, fresh) : fresh;
  };
  const clean = vae ? await latentBatches(vae, dataset, config, options) : pixelBatches(dataset, config);
  return runStage(
    {
      name: 'diffusion',
      dir: run,
      settings,
      specs,
      loss: diffusionLoss(model),
      init,
      batch: (step) => {
        const { samples, labelIds } = clean(step);
        const known = nullLabel === null ? null : labelIds.map((id) => (id < 0 ? nullLabel : id));
        return noising.batch({ samples, labels: known }, shape, step);
      },
      fingerprint: fingerprintOf(
        dataset.fingerprint,
        model,
        config.seed,
        settings.batch_size,
        config.augment,
        vae?.config ?? null,
      ),
      publish: async (ema, step) => {
        const dir = join(run, 'model');
        await writePipelineDir(
          dir,
          {
            unet: {
              className: UNET2D_CLASS_NAME,
              config: model as unknown as JsonObject,
              weights: { specs, params: ema },
            },
            scheduler: { className: schedulerClass(config), config: schedulerConfig(config) },
            ...(vae && {
              autoencoder: {
                className: AUTOENCODER_CLASS_NAME,
                config: vae.config as unknown as JsonObject,
                weights: { specs: autoencoderSpecs(vae.config), params: vae.params },
              },
            }),
            sumi: {
              version: 1,
              resolution: config.size,
              labels: [...dataset.labels],
              null_label: nullLabel,
              defaults: { ...config.sampling },
              recipe: { step, pictures: dataset.count, config: config as unknown as JsonObject },
            },
          },
          options.dtype,
        );
        await sampleSheet(dir, samplePath(run, step), dataset.labels, {
          engine: options.engine,
          threads: options.threads,
        });
      },
      measure: options.measure,
    },
    options,
  );
}

const schedulerClass = ({ sampling }: TrainConfig): string =>
  sampling.scheduler === 'ddpm' ? 'DDPMScheduler' : 'DDIMScheduler';

function schedulerConfig({ diffusion, autoencoder, sampling }: TrainConfig): JsonObject {
  const { num_train_timesteps, beta_start, beta_end, beta_schedule, prediction_type } = diffusion;
  return {
    num_train_timesteps,
    beta_start,
    beta_end,
    beta_schedule,
    prediction_type,
    // Pixels end at ±1; latents do not.
    clip_sample: autoencoder === null,
    timestep_spacing: 'trailing',
    ...(sampling.scheduler === 'ddpm' ? {} : { set_alpha_to_one: true, steps_offset: 0 }),
  };
}

interface CleanSamples {
  readonly samples: Float32Array;
  readonly labelIds: Int32Array;
}

function pixelBatches(dataset: Dataset, config: TrainConfig): (step: number) => CleanSamples {
  const batches = new Batches(dataset, {
    batchSize: config.diffusion.batch_size,
    seed: config.seed,
    augment: config.augment,
  });
  return (step) => {
    const { pixels, labelIds } = batches.batchAt(step - 1);
    return { samples: pixels, labelIds };
  };
}

/**
 * Latents are computed once: augmentation would have to be encoded anew each time, so only the mirrored pictures
 * are, as a second half of the data.
 */
async function latentBatches(
  vae: TrainedAutoencoder,
  dataset: Dataset,
  config: TrainConfig,
  options: StageOptions,
): Promise<(step: number) => CleanSamples> {
  const { shift, crop, colour } = config.augment;
  if (shift || crop || colour) {
    options.onNote?.('latents are made once: of the augmentations only flip serves the diffusion model');
  }
  options.onNote?.(`encoding ${dataset.count} pictures`);
  const encoded = async (data: Dataset) =>
    (await encodeDataset(vae.config, vae.params, data, options)).latents;
  const parts = [await encoded(dataset)];
  if (config.augment.flip) parts.push(await encoded(mirrored(dataset)));
  const each = parts[0].length / dataset.count;
  const order = new BatchOrder(dataset.count * parts.length, config.diffusion.batch_size, config.seed);
  return (step) => {
    const { indices } = order.at(step - 1);
    const samples = new Float32Array(indices.length * each);
    const labelIds = new Int32Array(indices.length);
    indices.forEach((index, k) => {
      const i = index % dataset.count;
      samples.set(parts[Math.floor(index / dataset.count)].subarray(i * each, (i + 1) * each), k * each);
      labelIds[k] = dataset.labelIds[i];
    });
    return { samples, labelIds };
  };
}

function mirrored(dataset: Dataset): Dataset {
  const { pixels, size } = dataset;
  const out = new Uint8Array(pixels.length);
  for (let row = 0; row < pixels.length / (size * 3); row++) {
    for (let x = 0; x < size; x++) {
      const from = (row * size + x) * 3;
      out.set(pixels.subarray(from, from + 3), (row * size + size - 1 - x) * 3);
    }
  }
  return { ...dataset, pixels: out };
}
