/** The diffusion stage: the network for the data, its clean samples, and what it publishes. */
import { join } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import { type PipelineDir, readPipelineDir, type SchedulerComponent } from '../checkpoint/pipeline.js';
import { type PipelineToWrite, writePipelineDir } from '../checkpoint/write.js';
import { Batches, BatchOrder, type Dataset } from '../data/index.js';
import { EDM_PREDICTION, FLOW_PREDICTION } from '../diffusion/index.js';
import { initParams } from '../engine/params.js';
import { mirror } from '../image/index.js';
import { Random } from '../random.js';
import { EDMEulerScheduler, FlowMatchEulerDiscreteScheduler } from '../schedulers/index.js';
import { encodeDataset } from './autoencoder.js';
import type { TrainedAutoencoder } from './autoencoder-stage.js';
import { Captions, textModelOf } from './captions.js';
import { colourFacts, coloursOf, datasetColours } from './colours.js';
import type { TrainConfig } from './config.js';
import { denoiserFor } from './denoiser.js';
import { diffusionLoss, Noising } from './diffusion.js';
import { keepsSchedule } from './from-model.js';
import { weightsFrom } from './init.js';
import { fingerprintOf, runStage, type StageOptions, type StageResult } from './loop.js';
import { samplePath } from './run-dir.js';
import { sampleSheet } from './samples.js';

/**
 * Trains the UNet on pixels or latents; the run's `model/` is renewed at every checkpoint.
 * @param initFrom a checkpoint whose weights it starts from, and whose text encoder it keeps
 */
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
  const network = denoiserFor(config, vae?.network ?? null, labels);
  const { config: model, specs, textChannels } = network;
  const start = initFrom ? await readPipelineDir(initFrom) : null;
  const text = textChannels === null ? null : await textModelOf(start, textChannels);
  if (text) options.onNote?.(`encoding ${labels} texts`);
  const captions = text && (await Captions.of(dataset, text, options));
  if (labels > 0 && dataset.labelIds.some((id) => id < 0)) {
    options.onNote?.(`pictures without a ${captions ? 'text' : 'label'} are trained on as unlabelled ones`);
  }
  const random = new Random(config.seed, 'diffusion');
  const nullLabel = labels > 0 || captions ? labels : null;
  const noising = new Noising(settings, random, nullLabel, deviationOf(config, vae !== null));
  const side = config.size / (vae?.network.downscale ?? 1);
  const shape = [settings.batch_size, side, side, model.in_channels];
  const init = () => {
    const fresh = initParams(specs, random.fork('init'));
    return start ? weightsFrom(start, specs, fresh) : fresh;
  };
  const clean = vae ? await latentBatches(vae, dataset, config, options) : pixelBatches(dataset, config);
  const colours = datasetColours(dataset);
  return runStage(
    {
      name: 'diffusion',
      pictures: dataset.count,
      dir: run,
      settings,
      specs,
      loss: diffusionLoss(network),
      init,
      batch: (step) => {
        const { samples, labelIds } = clean(step);
        const known = nullLabel === null ? null : labelIds.map((id) => (id < 0 ? nullLabel : id));
        const { labels: told, ...feeds } = noising.batch({ samples, labels: known }, shape, step);
        if (!told) return feeds;
        return captions ? { ...feeds, context: captions.rows(told.data) } : { ...feeds, labels: told };
      },
      fingerprint: fingerprintOf(
        dataset.fingerprint,
        model,
        config.seed,
        settings.batch_size,
        config.augment,
        vae?.network.config ?? null,
      ),
      publish: async (ema, step) => {
        const dir = join(run, 'model');
        const known = captions ? {} : { labels: [...dataset.labels], null_label: nullLabel };
        await writePipelineDir(
          dir,
          {
            unet: {
              className: network.className,
              config: model as unknown as JsonObject,
              weights: { specs, params: ema },
            },
            scheduler: schedulerFor(config, vae !== null, start),
            ...(vae && {
              autoencoder: {
                className: vae.network.className,
                config: vae.network.config as unknown as JsonObject,
                weights: { specs: vae.network.specs, params: vae.params },
                folder: vae.folder,
              },
            }),
            ...(captions && start && textParts(start)),
            sumi: {
              version: 1,
              resolution: config.size,
              ...known,
              defaults: samplingDefaults(config),
              recipe: { step, pictures: dataset.count, config: config as unknown as JsonObject },
            },
          },
          options.dtype,
        );
        const shown = captions ? { texts: labels > 0 ? dataset.labels : [''] } : { labels: dataset.labels };
        const { engine, threads } = options;
        const pictures = await sampleSheet(dir, samplePath(run, step), shown, { engine, threads });
        return colourFacts(coloursOf(pictures), colours);
      },
      measure: options.measure,
    },
    options,
  );
}

/** The text encoder and the tokenizer of a checkpoint, to be copied as they are. */
function textParts({
  textEncoder,
  tokenizer,
}: PipelineDir): Pick<PipelineToWrite, 'textEncoder' | 'tokenizer'> {
  return { ...(textEncoder && { textEncoder }), ...(tokenizer && { tokenizer }) };
}

/** How `generate` draws unless told otherwise; the names of schedulers are those for DDPM's process. */
function samplingDefaults({ diffusion, sampling }: TrainConfig): JsonObject {
  const { scheduler, ...rest } = sampling;
  const other = diffusion.prediction_type === FLOW_PREDICTION || diffusion.prediction_type === EDM_PREDICTION;
  return other ? rest : { ...rest, scheduler };
}

/** Deviation of the samples as EDM's preconditioning takes it: latents are scaled to 1. */
const deviationOf = ({ diffusion }: TrainConfig, latents: boolean): number =>
  diffusion.sigma_data ?? (latents ? 1 : 0.5);

/** The scheduler of the checkpoint that training started from while its noise schedule is kept, else one of Sumi's. */
function schedulerFor(config: TrainConfig, latents: boolean, start: PipelineDir | null): SchedulerComponent {
  if (start?.scheduler && keepsSchedule(config, start)) return start.scheduler;
  const { diffusion, sampling } = config;
  const { num_train_timesteps, beta_start, beta_end, beta_schedule, prediction_type } = diffusion;
  const { trained_betas, rescale_betas_zero_snr } = diffusion;
  if (prediction_type === FLOW_PREDICTION)
    return { className: FlowMatchEulerDiscreteScheduler.name, config: { num_train_timesteps, shift: 1 } };
  if (prediction_type === EDM_PREDICTION)
    return {
      className: EDMEulerScheduler.name,
      config: { num_train_timesteps, sigma_data: deviationOf(config, latents) },
    };
  const ddpm = sampling.scheduler === 'ddpm';
  return {
    className: ddpm ? 'DDPMScheduler' : 'DDIMScheduler',
    config: {
      num_train_timesteps,
      beta_start,
      beta_end,
      beta_schedule,
      ...(trained_betas && { trained_betas }),
      ...(rescale_betas_zero_snr && { rescale_betas_zero_snr }),
      prediction_type,
      // Pixels end at ±1; latents do not.
      clip_sample: !latents,
      timestep_spacing: 'trailing',
      ...(ddpm ? {} : { set_alpha_to_one: true, steps_offset: 0 }),
    },
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
    (await encodeDataset(vae.network, vae.params, data, options)).latents;
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

const mirrored = (dataset: Dataset): Dataset => ({
  ...dataset,
  pixels: mirror(dataset.pixels, dataset.size),
});
