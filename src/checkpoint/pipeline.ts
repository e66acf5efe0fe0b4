/**
 * Checkpoints as diffusers pipeline directories. What diffusers has no place for (labels, null class, data mean,
 * recipe, EMA, scaling of latents) sits in `sumi.json`, which diffusers ignores. Configs are plain JSON here:
 * src/unet, src/autoencoder and src/schedulers know what their keys mean.
 */
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { isDirectory, isFile, settledDirectory } from '../files/index.js';
import { type JsonObject, readJsonObject } from './json.js';
import { findWeights, TRANSFORMERS_STEM } from './weights.js';

export interface SchedulerComponent {
  /** Class in diffusers, e.g. `DDIMScheduler`. */
  readonly className: string;
  readonly config: JsonObject;
}

export interface ModelComponent {
  /** Class in diffusers, e.g. `UNet2DModel`. */
  readonly className: string;
  readonly config: JsonObject;
  /** The `.safetensors` file or `.safetensors.index.json`, for `loadParams`. */
  readonly weights: string;
}

export type AutoencoderFolder = 'vae' | 'vqvae';

export interface PipelineDir {
  /** The directory that was read (a run's `model/` when a run was named). */
  readonly dir: string;
  /** `_class_name` of model_index.json; null for a bare UNet. */
  readonly className: string | null;
  readonly unet: ModelComponent;
  /** Null when the directory holds a UNet alone. */
  readonly scheduler: SchedulerComponent | null;
  readonly autoencoder: (ModelComponent & { readonly folder: AutoencoderFolder }) | null;
  /** What makes pictures larger and sharper; null when there is none. Of Sumi's own: diffusers does not look at it. */
  readonly refiner: ModelComponent | null;
  /** What turns a prompt into what the UNet looks at; null when there is none. */
  readonly textEncoder: ModelComponent | null;
  /** The folder of its tokenizer. */
  readonly tokenizer: string | null;
  /** Components of model_index.json that Sumi has no use for, e.g. `safety_checker`. */
  readonly otherComponents: readonly string[];
  /** Content of sumi.json; empty when there is none. */
  readonly sumi: JsonObject;
}

/** The folder of the refiner (src/refiner). */
export const REFINER_FOLDER = 'refiner';

const known = ['unet', 'scheduler', 'vae', 'vqvae', 'text_encoder', 'tokenizer'];

/**
 * Reads a checkpoint's configs and finds its weights, without reading them. Takes a pipeline directory, nested (a folder
 * for each component) or flat (all files in one, as the first were published), a run directory (its `model/`), a
 * directory with `unet/` but no model_index.json, or a UNet's own directory.
 * @throws InputError saying what the path is instead, or what is missing in it
 */
export async function readPipelineDir(path: string): Promise<PipelineDir> {
  const dir = await settledDirectory(path);
  if (!(await isDirectory(dir))) {
    if (await isFile(dir))
      throw new InputError(
        `a file where a checkpoint folder is needed — ${path} — name the folder that holds it`,
      );
    throw new InputError(`no such folder — ${path} — check the path`);
  }
  if (await isFile(join(dir, 'model_index.json'))) return readIndexed(dir);
  if (await isFile(join(dir, 'unet', 'config.json'))) {
    return assemble(dir, null, []);
  }
  // The run's own config.json is no model config, so look for its model first.
  const model = await settledDirectory(join(dir, 'model'));
  if (await isFile(join(model, 'model_index.json'))) return readIndexed(model);
  if (await isFile(join(dir, 'config.json'))) return readBareUnet(dir);
  throw new InputError(
    `no checkpoint: it has neither model_index.json nor unet/config.json — ${path} — name a diffusers pipeline folder or a run of sumi train`,
  );
}

async function readIndexed(dir: string): Promise<PipelineDir> {
  const path = join(dir, 'model_index.json');
  const index = await readJsonObject(path);
  const className = index._class_name;
  if (typeof className !== 'string') {
    throw new InputError(`no _class_name — ${path} — it should name a pipeline, e.g. "DDPMPipeline"`);
  }
  // Absent optional components are written as [null, null].
  const present = Object.entries(index).flatMap(([name, value]) =>
    Array.isArray(value) && typeof value[1] === 'string' ? [name] : [],
  );
  if (!present.includes('unet')) {
    throw new InputError(
      `${className} has no unet (it has ${present.join(', ') || 'no components'}) — ${path} — use a pipeline of a UNet`,
    );
  }
  const others = present.filter((name) => !known.includes(name));
  return assemble(dir, className, others);
}

async function assemble(
  dir: string,
  className: string | null,
  otherComponents: readonly string[],
): Promise<PipelineDir> {
  return {
    dir,
    className,
    unet: await readModel(await folderOf(dir, 'unet', 'config.json'), 'UNet2DModel'),
    scheduler: await readScheduler(dir),
    autoencoder: await readAutoencoder(dir),
    refiner: await readRefiner(dir),
    textEncoder: await readTextEncoder(dir),
    tokenizer: (await isDirectory(join(dir, 'tokenizer'))) ? join(dir, 'tokenizer') : null,
    otherComponents,
    sumi: await readSumi(dir),
  };
}

async function readBareUnet(dir: string): Promise<PipelineDir> {
  const config = await readJsonObject(join(dir, 'config.json'));
  if (typeof config._class_name !== 'string') {
    throw new InputError(
      `no checkpoint: its config.json has no _class_name — ${dir} — name a diffusers pipeline folder, or a run that has written its model/`,
    );
  }
  if (!config._class_name.startsWith('UNet')) {
    throw new InputError(
      `${config._class_name} alone, which draws nothing without a UNet — ${dir} — name the pipeline folder`,
    );
  }
  return {
    dir,
    className: null,
    unet: { className: config._class_name, config, weights: await findWeights(dir) },
    scheduler: await readScheduler(dir),
    autoencoder: null,
    refiner: null,
    textEncoder: null,
    tokenizer: null,
    otherComponents: [],
    sumi: await readSumi(dir),
  };
}

/** Where a component's files lie: in a folder of its name, or beside the index where there is no such folder. */
async function folderOf(dir: string, component: string, file: string): Promise<string> {
  const own = join(dir, component);
  return !(await isDirectory(own)) && (await isFile(join(dir, file))) ? dir : own;
}

async function readModel(dir: string, fallbackClass: string): Promise<ModelComponent> {
  const config = await readJsonObject(join(dir, 'config.json'));
  const className = typeof config._class_name === 'string' ? config._class_name : fallbackClass;
  return { className, config, weights: await findWeights(dir) };
}

async function readScheduler(dir: string): Promise<SchedulerComponent | null> {
  const name = 'scheduler_config.json';
  const path = join(await folderOf(dir, 'scheduler', name), name);
  if (!(await isFile(path))) return null;
  const config = await readJsonObject(path);
  if (typeof config._class_name !== 'string') {
    throw new InputError(`no _class_name — ${path} — it should name a scheduler, e.g. "DDIMScheduler"`);
  }
  return { className: config._class_name, config };
}

async function readAutoencoder(dir: string): Promise<PipelineDir['autoencoder']> {
  for (const folder of ['vqvae', 'vae'] as const) {
    if (await isFile(join(dir, folder, 'config.json'))) {
      return { folder, ...(await readModel(join(dir, folder), 'AutoencoderKL')) };
    }
  }
  return null;
}

async function readRefiner(dir: string): Promise<ModelComponent | null> {
  const folder = join(dir, REFINER_FOLDER);
  return (await isFile(join(folder, 'config.json'))) ? readModel(folder, 'UNet2DModel') : null;
}

/** transformers names the class in `architectures`. */
async function readTextEncoder(dir: string): Promise<ModelComponent | null> {
  const folder = join(dir, 'text_encoder');
  if (!(await isFile(join(folder, 'config.json')))) return null;
  const config = await readJsonObject(join(folder, 'config.json'));
  const [named] = Array.isArray(config.architectures) ? config.architectures : [];
  const className = typeof named === 'string' ? named : 'CLIPTextModel';
  return { className, config, weights: await findWeights(folder, TRANSFORMERS_STEM) };
}

async function readSumi(dir: string): Promise<JsonObject> {
  const path = join(dir, 'sumi.json');
  return (await isFile(path)) ? readJsonObject(path) : {};
}
