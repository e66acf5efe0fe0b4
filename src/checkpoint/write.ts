/** Writes checkpoints that Sumi and diffusers both open. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ParamSpec } from '../engine/params.js';
import { InputError } from '../errors.js';
import { writeDirectoryAtomically } from '../files/index.js';
import type { FloatDtype } from './dtypes.js';
import { formatJson, type JsonObject } from './json.js';
import { saveParams } from './load.js';
import type { AutoencoderFolder, SchedulerComponent } from './pipeline.js';
import { WEIGHTS_NAME } from './weights.js';

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
  /** Default: `LDMPipeline` with an autoencoder, else `DDIMPipeline` or `DDPMPipeline` by the scheduler. */
  readonly className?: string;
  readonly unet: ModelToWrite;
  readonly scheduler: SchedulerComponent;
  /** `folder` defaults to `vqvae`, which is where diffusers' LDMPipeline looks, for an AutoencoderKL too. */
  readonly autoencoder?: ModelToWrite & { readonly folder?: AutoencoderFolder };
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
  const { unet, scheduler, autoencoder, sumi } = pipeline;
  const folder = autoencoder?.folder ?? 'vqvae';
  await writeDirectoryAtomically(dir, async (target) => {
    await writeModel(join(target, 'unet'), unet, dtype);
    if (autoencoder) await writeModel(join(target, folder), autoencoder, dtype);
    await mkdir(join(target, 'scheduler'));
    const schedulerConfig = withClass(scheduler.className, scheduler.config);
    await writeFile(join(target, 'scheduler', 'scheduler_config.json'), formatJson(schedulerConfig));
    if (sumi) await writeFile(join(target, 'sumi.json'), formatJson(sumi));
    await writeFile(join(target, 'model_index.json'), formatJson(modelIndex(pipeline)));
  });
}

/** The content of model_index.json. */
export function modelIndex(pipeline: Classes): JsonObject {
  const { unet, scheduler, autoencoder } = pipeline;
  const index: JsonObject = {
    _class_name: pipeline.className ?? defaultClass(pipeline),
    _diffusers_version: DIFFUSERS_VERSION,
    unet: ['diffusers', unet.className],
    scheduler: ['diffusers', scheduler.className],
  };
  if (autoencoder) index[autoencoder.folder ?? 'vqvae'] = ['diffusers', autoencoder.className];
  return index;
}

type Named = { readonly className: string };
type Classes = {
  readonly className?: string;
  readonly unet: Named;
  readonly scheduler: Named;
  readonly autoencoder?: Named & { readonly folder?: AutoencoderFolder };
};

function defaultClass({ autoencoder, scheduler }: Classes): string {
  if (autoencoder) return 'LDMPipeline';
  return scheduler.className === 'DDIMScheduler' ? 'DDIMPipeline' : 'DDPMPipeline';
}

function withClass(className: string, config: JsonObject): JsonObject {
  return { ...config, _class_name: className, _diffusers_version: DIFFUSERS_VERSION };
}

async function writeModel(dir: string, model: ModelToWrite, dtype: FloatDtype): Promise<void> {
  await mkdir(dir);
  await writeFile(join(dir, 'config.json'), formatJson(withClass(model.className, model.config)));
  if (typeof model.weights === 'string') await copyWeights(model.weights, dir);
  else await saveParams(model.weights.specs, model.weights.params, join(dir, WEIGHTS_NAME), dtype);
}

async function copyWeights(source: string, dir: string): Promise<void> {
  if (!source.endsWith('.json')) return copyFile(source, join(dir, WEIGHTS_NAME));
  const index = JSON.parse(await readFile(source, 'utf8')) as { weight_map: Record<string, string> };
  for (const shard of new Set(Object.values(index.weight_map))) {
    if (shard !== basename(shard)) {
      throw new InputError(
        `the index names ${shard}, which is not beside it — ${source} — fetch or write the checkpoint again`,
      );
    }
    await copyFile(join(dirname(source), shard), join(dir, shard));
  }
  await copyFile(source, join(dir, `${WEIGHTS_NAME}.index.json`));
}
