/** Opens a checkpoint as what the pipelines work with: configurations, weights, labels, and how to decode. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AutoencoderNetwork, openAutoencoder } from '../autoencoder/index.js';
import type { JsonObject } from '../checkpoint/json.js';
import { loadParams } from '../checkpoint/load.js';
import {
  type PipelineDir,
  REFINER_FOLDER,
  readPipelineDir,
  type SchedulerComponent,
} from '../checkpoint/pipeline.js';
import type { CompileOptions } from '../engine/compile.js';
import { InputError } from '../errors.js';
import { isDirectory, isFile, settledDirectory } from '../files/index.js';
import { type LoraFile, mergeLoras } from '../lora/index.js';
import { openRefiner, type RefinerNetwork } from '../refiner/index.js';
import { CMStochasticIterativeScheduler } from '../schedulers/index.js';
import { clipTextSpecs } from '../text/index.js';
import { fillsIn, openUNet, type UNetNetwork } from '../unet/index.js';
import { loadText, type TextModel } from './text.js';

/** The model that `sumi generate` uses when none is named. */
export const DEFAULT_MODEL = 'characters';

const here = path.dirname(fileURLToPath(import.meta.url));

/** The folder of shipped models, from src/ as from dist/src/. */
function modelsFolder(): string | undefined {
  return ['../../models', '../../../models']
    .map((p) => path.join(here, p))
    .find((p) => {
      try {
        return readdirSync(p).length >= 0;
      } catch {
        return false;
      }
    });
}

/** Folders of the models that come with Sumi, by name. @param holds a file that only the wanted ones have */
export function shippedFolders(holds: string): Map<string, string> {
  const folder = modelsFolder();
  if (!folder) return new Map();
  const names = readdirSync(folder).sort();
  return new Map(
    names
      .map((name): [string, string] => [name, path.join(folder, name)])
      .filter(([, dir]) => existsSync(path.join(dir, holds))),
  );
}

/** Names of the models that come with Sumi and draw. */
export const shippedModels = (): string[] => [...shippedFolders('model_index.json').keys()];

/** Whether a folder is worth opening as a checkpoint or a run that has written one. */
async function holdsModel(dir: string): Promise<boolean> {
  const files = ['model_index.json', 'config.json', 'unet/config.json', 'model/model_index.json'];
  const found = await Promise.all(files.map((file) => isFile(path.join(dir, file))));
  return found.includes(true);
}

/**
 * The folder of a model given by path or by a shipped model's name. A folder of that name in the working directory
 * comes first if it holds a model; a dataset that happens to be called `characters` does not stand in the way.
 * @throws InputError when there is neither
 */
export async function findModel(nameOrDir: string): Promise<string> {
  const shipped = shippedModels();
  const ships = shipped.includes(nameOrDir);
  const local = await settledDirectory(nameOrDir);
  if (ships ? await holdsModel(local) : await isDirectory(local)) return local;
  if (ships) return shippedFolders('model_index.json').get(nameOrDir) as string;
  const known = shipped.length > 0 ? `a folder, or one of ${shipped.join(', ')}` : 'a folder';
  throw new InputError(`no model ${nameOrDir} — --model — name ${known}`);
}

/** How pictures are drawn unless told otherwise, from sumi.json. */
export interface SamplingDefaults {
  readonly steps: number;
  readonly scheduler?: string;
  readonly guidanceScale: number;
}

export interface LoadedModel {
  readonly dir: string;
  readonly unet: UNetNetwork['config'];
  readonly network: UNetNetwork;
  readonly unetParams: Float32Array;
  /** What prompts go through; null for a model without texts. */
  readonly text: TextModel | null;
  /** Whether the UNet was trained to fill in: it sees a mask and the sample of what is kept beside its own. */
  readonly paints: boolean;
  readonly autoencoder: { readonly network: AutoencoderNetwork; readonly params: Float32Array } | null;
  /** What makes pictures larger and sharper; null when there is none. */
  readonly refiner: { readonly network: RefinerNetwork; readonly params: Float32Array } | null;
  readonly scheduler: JsonObject;
  /** Class names, in the order of their indices; empty for a model without classes. */
  readonly labels: readonly string[];
  readonly nullLabel: number | null;
  readonly defaults: SamplingDefaults;
}

export interface LoadOptions extends Pick<CompileOptions, 'engine' | 'threads'> {
  /** Files that change the weights as they are loaded, one after another. */
  readonly loras?: readonly LoraFile[];
}

/**
 * @throws InputError when the checkpoint is none that draws here, its parts do not fit together, or a LoRA file is none
 * of this model's
 */
export async function loadModel(nameOrDir: string, options: LoadOptions = {}): Promise<LoadedModel> {
  const dir = await findModel(nameOrDir);
  const pipeline = await readPipelineDir(dir);
  const network = openUNet(pipeline.unet.className, pipeline.unet.config, path.join(dir, 'unet'));
  const { config: unet, textChannels } = network;
  if (!pipeline.scheduler) {
    throw new InputError(
      `no scheduler — ${dir} — name the whole pipeline directory, which has scheduler/scheduler_config.json`,
    );
  }
  const labels = labelsOf(pipeline.sumi, unet, dir);
  const text = textChannels === null ? null : await loadText(pipeline, textChannels);
  const autoencoder = await loadAutoencoder(pipeline);
  checkChannels(unet, autoencoder?.network ?? null, dir);
  const refiner = await loadRefiner(pipeline, network, autoencoder?.network ?? null);
  const unetParams = await loadParams(network.specs, pipeline.unet.weights);
  if (options.loras?.length) {
    const texts = text && { specs: clipTextSpecs(text.config), params: text.params };
    const networks = { unet: { specs: network.specs, params: unetParams }, text_encoder: texts };
    await mergeLoras(networks, options.loras, options);
  }
  return {
    dir,
    unet,
    network,
    unetParams,
    text,
    paints: fillsIn(unet),
    autoencoder,
    refiner,
    scheduler: {
      ...pipeline.scheduler.config,
      ...(text && TEXT_SCHEDULE),
      _class_name: pipeline.scheduler.className,
    },
    ...labels,
    defaults: defaultsOf(pipeline.sumi, text ? TEXT_GUIDANCE : 1, stepsOf(pipeline.scheduler)),
  };
}

async function loadAutoencoder({ autoencoder, dir }: PipelineDir): Promise<LoadedModel['autoencoder']> {
  if (!autoencoder) return null;
  const { className, config, folder, weights } = autoencoder;
  const network = openAutoencoder(className, config, path.join(dir, folder));
  return { network, params: await loadParams(network.specs, weights) };
}

async function loadRefiner(
  { refiner, dir }: PipelineDir,
  { unit }: UNetNetwork,
  autoencoder: AutoencoderNetwork | null,
): Promise<LoadedModel['refiner']> {
  if (!refiner) return null;
  const where = path.join(dir, REFINER_FOLDER);
  const network = openRefiner(refiner.className, refiner.config, unit * (autoencoder?.downscale ?? 1), where);
  return { network, params: await loadParams(network.specs, refiner.weights) };
}

/** @throws InputError when the networks' channels do not meet, or are no picture's */
export function checkChannels(
  unet: UNetNetwork['config'],
  autoencoder: AutoencoderNetwork | null,
  dir: string,
): void {
  const { in_channels: given, out_channels: predicted } = unet;
  if (given !== predicted && !fillsIn(unet)) {
    throw new InputError(
      `the UNet takes ${given} channels and predicts ${predicted} — ${dir} — learned variances are not supported: use a model that predicts as many`,
    );
  }
  if (autoencoder && autoencoder.latentChannels !== predicted) {
    throw new InputError(
      `the UNet works on ${predicted} channels, the autoencoder on ${autoencoder.latentChannels} — ${dir} — use the autoencoder that belongs to it`,
    );
  }
  const channels = autoencoder ? autoencoder.config.out_channels : predicted;
  if (channels !== 1 && channels !== 3) {
    const remedy = autoencoder
      ? 'use a model of pictures'
      : 'if these are latents, add the autoencoder as vae/';
    throw new InputError(`${channels} channels make neither a grey nor an RGB picture — ${dir} — ${remedy}`);
  }
}

/**
 * Labels and null class of a UNet.
 * @throws InputError when sumi.json and the network disagree
 */
export function labelsOf(
  sumi: JsonObject,
  unet: UNetNetwork['config'],
  dir: string,
): Pick<LoadedModel, 'labels' | 'nullLabel'> {
  if (unet.class_embed_type !== null) {
    throw new InputError(
      `class_embed_type ${unet.class_embed_type} is not supported in drawing — ${dir} — use a model with num_class_embeds`,
    );
  }
  const rows = unet.num_class_embeds;
  if (rows === null) return { labels: [], nullLabel: null };
  const nullLabel = typeof sumi.null_label === 'number' ? sumi.null_label : null;
  const classes = nullLabel ?? rows;
  const labels = Array.isArray(sumi.labels)
    ? sumi.labels.map(String)
    : Array.from({ length: classes }, (_, i) => String(i));
  // Labels are the first rows of the table, the null class comes after them.
  const fits = Number.isInteger(classes) && labels.length > 0 && labels.length <= classes;
  if (!fits || (nullLabel !== null && nullLabel >= rows)) {
    const none = nullLabel === null ? '' : ` and null_label ${nullLabel}`;
    throw new InputError(
      `sumi.json has ${labels.length} labels${none}, the network ${rows} classes — ${dir} — restore the file`,
    );
  }
  return { labels, nullLabel };
}

/**
 * What diffusers' pipelines of this kind set, whatever the scheduler's config says: the first releases' configs had it
 * wrong, or left it to another class's default.
 */
const TEXT_SCHEDULE = { clip_sample: false, steps_offset: 1 } as const;

/** Weight of guidance of models that draw from texts, as in diffusers. */
const TEXT_GUIDANCE = 7.5;

/** How many steps pictures take unless sumi.json says: a consistency model is made for one. */
const stepsOf = ({ className }: SchedulerComponent): number =>
  className === CMStochasticIterativeScheduler.name ? 1 : STEPS;
const STEPS = 50;

/**
 * How sumi.json says that pictures are drawn.
 * @param guidanceScale unless it says
 */
export function defaultsOf(sumi: JsonObject, guidanceScale: number, steps = STEPS): SamplingDefaults {
  const given = (sumi.defaults ?? {}) as JsonObject;
  return {
    steps: typeof given.steps === 'number' ? given.steps : steps,
    scheduler: typeof given.scheduler === 'string' ? given.scheduler : undefined,
    guidanceScale: typeof given.guidance_scale === 'number' ? given.guidance_scale : guidanceScale,
  };
}
