/** The diffusion stage: the network for the data, its clean samples, and what it publishes. */
import { join } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import { type PipelineDir, readPipelineDir, type SchedulerComponent } from '../checkpoint/pipeline.js';
import { INPAINT_PIPELINE, type PipelineToWrite, writePipelineDir } from '../checkpoint/write.js';
import {
  Batches,
  BucketOrder,
  bytesAt,
  type Dataset,
  floatPictures,
  mostFrequentShape,
  sizeAt,
} from '../data/index.js';
import { EDM_PREDICTION, FLOW_PREDICTION } from '../diffusion/index.js';
import { countParams, initParams } from '../engine/params.js';
import { mirror, type Size, toFloat } from '../image/index.js';
import { Random } from '../random.js';
import { EDMEulerScheduler, FlowMatchEulerDiscreteScheduler } from '../schedulers/index.js';
import { picturesAStep } from './accumulate.js';
import { encodeDataset } from './autoencoder.js';
import type { TrainedAutoencoder } from './autoencoder-stage.js';
import { Captions, textModelOf } from './captions.js';
import { colourFacts, coloursOf, datasetColours } from './colours.js';
import type { TrainConfig } from './config.js';
import { denoiserFor } from './denoiser.js';
import { diffusionLoss, Noising } from './diffusion.js';
import { keepsSchedule } from './from-model.js';
import { HeldBackLoss, holdBack, measuredRows } from './held-back.js';
import { weightsFrom } from './init.js';
import { levelSpec } from './level-weights.js';
import { fingerprintOf, runStage, type StageOptions, type StageResult } from './loop.js';
import { samplePath } from './run-dir.js';
import { sampleSheet } from './samples.js';
import { Surroundings } from './surroundings.js';

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
  const alike = mostFrequentShape(dataset);
  const shape = sizeAt(dataset, alike[0]);
  const network = denoiserFor(config, vae?.network ?? null, labels, undefined, shape);
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
  const deviation = deviationOf(config, vae !== null);
  const noising = new Noising(settings, random, nullLabel, deviation);
  const reduction = vae?.network.downscale ?? 1;
  const split = holdBack(dataset, settings.held_back, config.seed, captions === null);
  const held = split.held.length;
  if (settings.held_back > 0)
    options.onNote?.(
      held > 0 ? `${held} of ${dataset.count} pictures are held back` : 'too few pictures to hold some back',
    );
  const learned = settings.loss_weighting === 'learned';
  const allSpecs = learned ? [...specs, levelSpec] : specs;
  const init = async () => {
    const fresh = initParams(allSpecs, random.fork('init'));
    if (start) fresh.set(await weightsFrom(start, network, fresh.slice(0, countParams(specs))));
    return fresh;
  };
  const clean = vae
    ? await latentBatches(vae, dataset, config, split.trained, options)
    : pixelBatches(dataset, config, split.trained);
  const surroundings = settings.inpaint
    ? new Surroundings(model, vae, config.size, random.fork('holes'), options)
    : null;
  const inputs = async (noise: Noising, clean: CleanSamples, step: number) => {
    const { samples, size, labelIds, picture } = clean;
    const known = nullLabel === null ? null : labelIds.map((id) => (id < 0 ? nullLabel : id));
    const [height, width] = [size.height / reduction, size.width / reduction];
    const shape = [labelIds.length, height, width, model.out_channels];
    const { labels: told, ...noised } = noise.batch({ samples, labels: known }, shape, step);
    const feeds = surroundings ? await surroundings.beside(noised, picture, step) : noised;
    if (!told) return feeds;
    return captions ? { ...feeds, context: captions.rows(told.data) } : { ...feeds, labels: told };
  };
  const colours = datasetColours(dataset);
  const loss = diffusionLoss(network);
  let heldBack: HeldBackLoss | undefined;
  if (held > 0) {
    const measured = { ...settings, label_dropout: 0, loss_weighting: 'min_snr' as const };
    const still = new Noising(measured, random, nullLabel, deviation);
    // Step 0 is none of training's: its noise and times are those of every measurement.
    const of = (indices: number[]) => inputs(still, clean.plain(indices), 0);
    const rows = measuredRows(split, alike);
    const most = settings.batch_size;
    heldBack = new HeldBackLoss(specs, loss, await of(rows.held), await of(rows.trained), most, options);
  }
  const stage = runStage(
    {
      name: 'diffusion',
      pictures: split.trained.length,
      dir: run,
      settings,
      specs: allSpecs,
      loss,
      init,
      batch: (step) => inputs(noising, clean.batch(step), step),
      fingerprint: fingerprintOf(
        dataset.fingerprint,
        model,
        config.seed,
        picturesAStep(settings),
        config.augment,
        vae?.network.config ?? null,
        ...(held > 0 ? [held] : []),
        ...(learned ? ['learned'] : []),
      ),
      publish: async (ema, step) => {
        const dir = join(run, 'model');
        const known = captions ? {} : { labels: [...dataset.labels], null_label: nullLabel };
        await writePipelineDir(
          dir,
          {
            ...(captions && settings.inpaint && { className: INPAINT_PIPELINE }),
            unet: {
              className: network.className,
              config: model as unknown as JsonObject,
              weights: { specs, params: ema.subarray(0, countParams(specs)) },
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
              recipe: { step, pictures: split.trained.length, config: config as unknown as JsonObject },
            },
          },
          options.dtype,
        );
        const shown = captions ? { texts: labels > 0 ? dataset.labels : [''] } : { labels: dataset.labels };
        const { engine, threads } = options;
        const pictures = await sampleSheet(dir, samplePath(run, step), shown, { engine, threads });
        const facts = colourFacts(coloursOf(pictures), colours);
        // Who stops now waits for no figure.
        if (!heldBack || options.signal?.aborted) return facts;
        const losses = await heldBack.measure(ema);
        options.onNote?.(
          `step ${step}: loss ${losses.held_back_loss} on ${held} held-back pictures, ${losses.train_loss} on training pictures`,
        );
        return { ...facts, ...losses };
      },
      measure: options.measure,
    },
    options,
  );
  return stage.finally(() => Promise.all([heldBack?.dispose(), surroundings?.dispose()]));
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
  /** Of their pictures, in pixels. */
  readonly size: Size;
  readonly labelIds: Int32Array;
  /** Picture k of the batch, [height, width, 3] in [-1, 1]. */
  readonly picture: (k: number) => Float32Array;
}

interface CleanData {
  /** What a step (from 1) trains on. */
  readonly batch: (step: number) => CleanSamples;
  /** Some pictures as they are. */
  readonly plain: (indices: readonly number[]) => CleanSamples;
}

const labelsAt = ({ labelIds }: Dataset, indices: readonly number[]): Int32Array =>
  Int32Array.from(indices, (i) => labelIds[i]);

/** @param trained the pictures that are trained on */
function pixelBatches(dataset: Dataset, config: TrainConfig, trained: Uint32Array): CleanData {
  const batches = new Batches(dataset, {
    batchSize: picturesAStep(config.diffusion),
    seed: config.seed,
    augment: config.augment,
    only: trained,
  });
  const clean = (samples: Float32Array, size: Size, labelIds: Int32Array): CleanSamples => {
    const each = size.width * size.height * 3;
    return { samples, size, labelIds, picture: (k) => samples.subarray(k * each, (k + 1) * each) };
  };
  return {
    batch: (step) => {
      const { pixels, size, labelIds } = batches.batchAt(step - 1);
      return clean(pixels, size, labelIds);
    },
    plain: (indices) =>
      clean(floatPictures(dataset, indices), sizeAt(dataset, indices[0]), labelsAt(dataset, indices)),
  };
}

/**
 * Latents are computed once: augmentation would have to be encoded anew each time, so only the mirrored pictures
 * are, as a second half of the data.
 * @param trained the pictures that are trained on
 */
async function latentBatches(
  vae: TrainedAutoencoder,
  dataset: Dataset,
  config: TrainConfig,
  trained: Uint32Array,
  options: StageOptions,
): Promise<CleanData> {
  const { shift, crop, colour } = config.augment;
  if (shift || crop || colour) {
    options.onNote?.('latents are made once: of the augmentations only flip serves the diffusion model');
  }
  options.onNote?.(`encoding ${dataset.count} pictures`);
  const encoded = async (data: Dataset) =>
    (await encodeDataset(vae.network, vae.params, data, options)).latents;
  const parts = [await encoded(dataset)];
  if (config.augment.flip) parts.push(await encoded(mirrored(dataset)));
  const slot = parts[0].length / dataset.count;
  const shapes = trained.map((i) => dataset.buckets?.ids[i] ?? 0);
  const order = new BucketOrder(
    parts.flatMap(() => [...shapes]),
    picturesAStep(config.diffusion),
    config.seed,
  );
  const gather = (chosen: readonly { part: Float32Array; index: number }[]): CleanSamples => {
    const size = sizeAt(dataset, chosen[0].index);
    const each = (slot * size.width * size.height) / dataset.size ** 2;
    const samples = new Float32Array(chosen.length * each);
    chosen.forEach(({ part, index }, k) => {
      samples.set(part.subarray(index * slot, index * slot + each), k * each);
    });
    const indices = chosen.map(({ index }) => index);
    const picture = (k: number) => {
      const bytes = bytesAt(dataset, indices[k]);
      return toFloat(chosen[k].part === parts[0] ? bytes : mirror(bytes, size.width));
    };
    return { samples, size, labelIds: labelsAt(dataset, indices), picture };
  };
  return {
    batch: (step) =>
      gather(
        Array.from(order.at(step - 1).indices, (position) => ({
          part: parts[Math.floor(position / trained.length)],
          index: trained[position % trained.length],
        })),
      ),
    plain: (indices) => gather(indices.map((index) => ({ part: parts[0], index }))),
  };
}

function mirrored(dataset: Dataset): Dataset {
  const pixels = new Uint8Array(dataset.pixels.length);
  for (let i = 0; i < dataset.count; i++)
    pixels.set(mirror(bytesAt(dataset, i), sizeAt(dataset, i).width), i * dataset.size ** 2 * 3);
  return { ...dataset, pixels };
}
