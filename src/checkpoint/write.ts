/** Writes checkpoints that Sumi and diffusers both open. */
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ParamSpec } from '../engine/params.js';
import { InputError } from '../errors.js';
import { writeDirectoryAtomically } from '../files/index.js';
import type { ComponentFolder } from './component.js';
import type { FloatDtype } from './dtypes.js';
import { formatJson, type JsonObject } from './json.js';
import { saveParams } from './load.js';
import {
  type AutoencoderFolder,
  type PipelineDir,
  REFINER_FOLDER,
  type SchedulerComponent,
} from './pipeline.js';
import { TRANSFORMERS_STEM, WEIGHTS_NAME } from './weights.js';

/** diffusers' pipeline of models that draw from texts and fill in. */
export const INPAINT_PIPELINE = 'StableDiffusionInpaintPipeline';

/** The diffusers release whose format is written; the interop check in bench/interop runs against it. */
export const DIFFUSERS_VERSION = '0.42.1';

/** A model to be written: its weights from memory, or a file (or index with its shards) to be copied as it is. */
export interface ModelToWrite {
  readonly className: string;
  /** diffusers' config keys; `_class_name` and `_diffusers_version` are added. */
  readonly config: JsonObject;
  readonly weights: { readonly specs: readonly ParamSpec[]; readonly params: Float32Array } | string;
}

export interface PipelineToWrite {
  /** Default: `StableDiffusionPipeline` with a text encoder, `LDMPipeline` with an autoencoder, else `DDIMPipeline` or `DDPMPipeline` by the scheduler. */
  readonly className?: string;
  readonly unet: ModelToWrite;
  readonly scheduler: SchedulerComponent;
  /** `folder` defaults to `vqvae`, which is where diffusers' LDMPipeline looks, for an AutoencoderKL too. */
  readonly autoencoder?: ModelToWrite & { readonly folder?: AutoencoderFolder };
  /** See src/refiner. */
  readonly refiner?: ModelToWrite;
  /** Of a model that draws from texts; its config is transformers'. */
  readonly textEncoder?: ModelToWrite;
  /** Folder of its tokenizer, which is copied. */
  readonly tokenizer?: string;
  readonly sumi?: JsonObject;
}

/**
 * Writes a checkpoint, whole or not at all; one that is replaced stays usable until the new one is complete (see
 * `writeDirectoryAtomically`).
 * @param dtype what weights given from memory are stored as
 * @throws InputError | RunError when a weight does not fit the dtype or the place is no good
 */
export async function writePipelineDir(
  dir: string,
  pipeline: PipelineToWrite,
  dtype: FloatDtype = 'F32',
): Promise<void> {
  const { unet, scheduler, autoencoder, refiner, textEncoder, tokenizer, sumi } = pipeline;
  const folder = autoencoder?.folder ?? 'vqvae';
  await writeDirectoryAtomically(dir, async (target) => {
    await writeModel(join(target, 'unet'), unet, dtype);
    if (autoencoder) await writeModel(join(target, folder), autoencoder, dtype);
    if (refiner) await writeModel(join(target, REFINER_FOLDER), refiner, dtype);
    if (textEncoder) {
      await mkdir(join(target, 'text_encoder'));
      await fillTextEncoder(join(target, 'text_encoder'), textEncoder, dtype);
    }
    if (tokenizer) await cp(tokenizer, join(target, 'tokenizer'), { recursive: true, dereference: true });
    await mkdir(join(target, 'scheduler'));
    const schedulerConfig = withClass(scheduler.className, scheduler.config);
    await writeFile(join(target, 'scheduler', 'scheduler_config.json'), formatJson(schedulerConfig));
    if (sumi) await writeFile(join(target, 'sumi.json'), formatJson(sumi));
    await writeFile(join(target, 'model_index.json'), formatJson(modelIndex(pipeline)));
  });
}

/** All parts of a checkpoint but its refiner, to be copied as they are. */
export function partsOf(dir: PipelineDir): Omit<PipelineToWrite, 'sumi' | 'refiner'> {
  const { className, unet, scheduler, autoencoder, textEncoder, tokenizer } = dir;
  return {
    ...(className !== null && { className }),
    unet,
    scheduler: scheduler as NonNullable<typeof scheduler>,
    ...(autoencoder && { autoencoder }),
    ...(textEncoder && { textEncoder }),
    ...(tokenizer !== null && { tokenizer }),
  };
}

/** The content of model_index.json. */
export function modelIndex(pipeline: Classes): JsonObject {
  const { unet, scheduler, autoencoder, textEncoder } = pipeline;
  const index: JsonObject = {
    _class_name: pipeline.className ?? defaultClass(pipeline),
    _diffusers_version: DIFFUSERS_VERSION,
    unet: ['diffusers', unet.className],
    scheduler: ['diffusers', scheduler.className],
  };
  if (autoencoder) index[autoencoder.folder ?? 'vqvae'] = ['diffusers', autoencoder.className];
  if (textEncoder) {
    index.text_encoder = ['transformers', textEncoder.className];
    index.tokenizer = ['transformers', 'CLIPTokenizer'];
    // Components that diffusers' pipelines of texts ask for, and do without when they are told so.
    Object.assign(index, { safety_checker: [null, null], feature_extractor: [null, null] });
    index.requires_safety_checker = false;
  }
  return index;
}

type Named = { readonly className: string };
type Classes = {
  readonly className?: string;
  readonly unet: Named;
  readonly scheduler: Named;
  readonly autoencoder?: Named & { readonly folder?: AutoencoderFolder };
  readonly textEncoder?: Named;
};

function defaultClass({ autoencoder, scheduler, textEncoder }: Classes): string {
  if (textEncoder) return 'StableDiffusionPipeline';
  if (autoencoder) return 'LDMPipeline';
  return scheduler.className === 'DDIMScheduler' ? 'DDIMPipeline' : 'DDPMPipeline';
}

function withClass(className: string, config: JsonObject): JsonObject {
  return { ...config, _class_name: className, _diffusers_version: DIFFUSERS_VERSION };
}

/**
 * Writes one network as a folder, under the names of files that its kind has.
 * @param dir is there already, and empty
 */
export async function writeComponent(
  dir: string,
  folder: ComponentFolder,
  model: ModelToWrite,
  dtype: FloatDtype,
): Promise<void> {
  await (folder === 'text_encoder' ? fillTextEncoder : fillModel)(dir, model, dtype);
}

async function writeModel(dir: string, model: ModelToWrite, dtype: FloatDtype): Promise<void> {
  await mkdir(dir);
  await fillModel(dir, model, dtype);
}

async function fillModel(dir: string, model: ModelToWrite, dtype: FloatDtype): Promise<void> {
  await writeFile(join(dir, 'config.json'), formatJson(withClass(model.className, model.config)));
  if (typeof model.weights === 'string') await copyWeights(model.weights, dir);
  else await saveParams(model.weights.specs, model.weights.params, join(dir, WEIGHTS_NAME), dtype);
}

/**
 * A config as transformers 5 opens it, which takes nothing but floats for some keys: 1.0 is JavaScript's 1. They are of no
 * use but to start training from random numbers.
 */
export function forTransformers(config: JsonObject): JsonObject {
  const takes = ([key, value]: [string, unknown]) =>
    !(key.startsWith('initializer_') && Number.isInteger(value));
  return Object.fromEntries(Object.entries(config).filter(takes));
}

/** transformers' names of files, and no class in the config but in `architectures`, which is the caller's. */
async function fillTextEncoder(dir: string, model: ModelToWrite, dtype: FloatDtype): Promise<void> {
  await writeFile(join(dir, 'config.json'), formatJson(forTransformers(model.config)));
  const name = `${TRANSFORMERS_STEM}.safetensors`;
  if (typeof model.weights === 'string') await copyWeights(model.weights, dir, name);
  else await saveParams(model.weights.specs, model.weights.params, join(dir, name), dtype);
}

async function copyWeights(source: string, dir: string, name = WEIGHTS_NAME): Promise<void> {
  if (!source.endsWith('.json')) return copyFile(source, join(dir, name));
  const index = JSON.parse(await readFile(source, 'utf8')) as { weight_map: Record<string, string> };
  for (const shard of new Set(Object.values(index.weight_map))) {
    if (shard !== basename(shard)) {
      throw new InputError(
        `the index names ${shard}, which is not beside it — ${source} — fetch or write the checkpoint again`,
      );
    }
    await copyFile(join(dirname(source), shard), join(dir, shard));
  }
  await copyFile(source, join(dir, `${name}.index.json`));
}
