/** Training a checkpoint further with settings of its own: its network, size and noise schedule. */
import { AUTOENCODER_CLASS_NAME, openAutoencoder } from '../autoencoder/index.js';
import { type ModelComponent, type PipelineDir, readPipelineDir } from '../checkpoint/pipeline.js';
import { EDM_PREDICTION, FLOW_PREDICTION, FORWARD_PROCESS } from '../diffusion/index.js';
import { InputError } from '../errors.js';
import { defaultsOf, findModel } from '../pipelines/model.js';
import {
  drawingSampler,
  EDM,
  type EDMConfig,
  FLOW,
  processOf,
  SCHEDULER_NAMES,
  schedulerFromConfig,
} from '../schedulers/index.js';
import { CONDITION_CLASS_NAME, fillsIn } from '../unet/index.js';
import type { DiffusionStage, TrainConfig, TrainConfigInput } from './config.js';
import { isOfAutoencoder, type StageName } from './train.js';

type Schedule = Partial<Pick<DiffusionStage, (typeof FORWARD_PROCESS)[number] | 'sigma_data'>>;

/** @throws InputError for a checkpoint without a scheduler, or of another process than DDPM's, EDM's or a flow's */
function scheduleOf({ scheduler, dir }: PipelineDir): Schedule {
  if (!scheduler) {
    throw new InputError(
      `no scheduler — ${dir} — name the whole pipeline directory, or say how it was trained by --config`,
    );
  }
  const { className, config } = scheduler;
  const json = { ...config, _class_name: className };
  const sampler = drawingSampler(json);
  if (processOf(json) === FLOW) {
    return { prediction_type: FLOW_PREDICTION, num_train_timesteps: sampler.config.num_train_timesteps };
  }
  if (processOf(json) === EDM) {
    const { num_train_timesteps, prediction_type, sigma_data } = sampler.config as EDMConfig;
    if (prediction_type !== 'epsilon')
      throw new InputError(
        `prediction_type "${prediction_type}" of an EDM model — ${dir} — such models draw but are not trained: use one of "epsilon"`,
      );
    return { prediction_type: EDM_PREDICTION, num_train_timesteps, sigma_data };
  }
  const whole = schedulerFromConfig(json).toConfig();
  return Object.fromEntries(FORWARD_PROCESS.map((key) => [key, whole[key]]));
}

/** Whether a run trains with the noise schedule that a checkpoint's scheduler has. */
export function keepsSchedule({ diffusion }: TrainConfig, pipeline: PipelineDir): boolean {
  if (!pipeline.scheduler) return false;
  const own = scheduleOf(pipeline);
  return Object.entries(own).every(
    ([key, value]) =>
      JSON.stringify(value ?? null) === JSON.stringify(diffusion[key as keyof Schedule] ?? null),
  );
}

/** Learning rates where whole weights are tuned: those of a network that knows texts are large and long trained. */
const RATE = { texts: 1e-5, others: 1e-4 };

/** Of a decoder that is trained alone: docs/training.md, "Latents that are not exact". */
const LATENT_NOISE = 0.15;

/** The network of a checkpoint's autoencoder, as settings name it. @throws InputError for one that is not trained here */
function own({ className, config }: ModelComponent, dir: string): Record<string, unknown> {
  if (className !== AUTOENCODER_CLASS_NAME)
    throw new InputError(
      `an autoencoder of class ${className} — ${dir} — it draws but is not trained: use a model with an ${AUTOENCODER_CLASS_NAME}`,
    );
  const { _class_name, _diffusers_version, _name_or_path, ...model } = config;
  return model;
}

/**
 * The settings with which a checkpoint is trained further, for `parseTrainConfig`.
 * @param nameOrDir a checkpoint, or a shipped model's name
 * @param stage `autoencoder` or `decoder`: with those of its autoencoder, which other stages leave as it is
 * @throws InputError for a checkpoint that draws but is not trained here
 */
export async function settingsOf(nameOrDir: string, stage: StageName = 'all'): Promise<TrainConfigInput> {
  const dir = await findModel(nameOrDir);
  const pipeline = await readPipelineDir(dir);
  const { unet, autoencoder, sumi } = pipeline;
  const { _class_name, _diffusers_version, _name_or_path, dropout, ...model } = unet.config;
  const coder = autoencoder && openAutoencoder(autoencoder.className, autoencoder.config, autoencoder.folder);
  const inpaint = fillsIn(model as Parameters<typeof fillsIn>[0]);
  const pixels = inpaint ? model.out_channels : model.in_channels;
  const channels = coder ? coder.config.in_channels : pixels;
  if (channels !== 3) {
    throw new InputError(
      `pictures of ${channels} channels — ${dir} — training is of RGB pictures: use a model of these`,
    );
  }
  if (model.in_channels !== model.out_channels && !inpaint) {
    throw new InputError(
      `the UNet takes ${model.in_channels} channels and predicts ${model.out_channels} — ${dir} — learned variances are not trained: use one that predicts as many`,
    );
  }
  const side = Array.isArray(model.sample_size) ? model.sample_size[0] : model.sample_size;
  const size = sumi.resolution ?? (typeof side === 'number' ? side * (coder?.downscale ?? 1) : undefined);
  const texts = unet.className === CONDITION_CLASS_NAME;
  const { steps, scheduler, guidanceScale } = defaultsOf(sumi, texts ? 7.5 : 1);
  const known = SCHEDULER_NAMES.find((name) => name === scheduler);
  return {
    ...(typeof size === 'number' && { size }),
    ...(isOfAutoencoder(stage) &&
      autoencoder && {
        autoencoder: {
          model: own(autoencoder, dir),
          learning_rate: RATE.others,
          ...(stage === 'decoder' && { latent_noise: LATENT_NOISE }),
        },
      }),
    diffusion: {
      model: { ...model, ...(texts && { _class_name: unet.className }) },
      ...scheduleOf(pipeline),
      learning_rate: texts ? RATE.texts : RATE.others,
      ...(inpaint && { inpaint }),
      held_back: 0.05,
    },
    sampling: { steps, guidance_scale: guidanceScale, ...(known && { scheduler: known }) },
  };
}
