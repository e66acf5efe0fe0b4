/** Configs as they lie beside exported weights: those of a diffusers folder, defaults written out. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { formatJson, type JsonObject } from '../checkpoint/json.js';
import { DIFFUSERS_VERSION, forTransformers, modelIndex } from '../checkpoint/write.js';
import { CLIP_TEXT_CLASS_NAME } from '../text/index.js';
import { copyNotices } from './folder.js';
import {
  coderFolder,
  type ExportSource,
  type ModelParts,
  originalTextConfig,
  schedulerOf,
} from './source.js';

/** A config of diffusers'. */
function named(className: string, config: object): JsonObject {
  return { ...(config as JsonObject), _class_name: className, _diffusers_version: DIFFUSERS_VERSION };
}

/**
 * A text encoder's config for transformers, whose keys that Sumi has no use for stay as they were.
 * @param dtype what the weights are stored as, which transformers opens them in; left out if not said
 */
export function textConfig(
  { config }: NonNullable<ModelParts['text']>,
  original: JsonObject,
  dtype?: string,
): JsonObject {
  const { torch_dtype: _, dtype: __, ...known } = original;
  const own = config as unknown as JsonObject;
  return {
    ...forTransformers(known),
    ...own,
    architectures: [CLIP_TEXT_CLASS_NAME],
    ...(dtype && { dtype }),
  };
}

/** Configs of all networks by their files. */
function configsOf(
  source: ExportSource,
  sampleSize: readonly [number, number] | null,
): [string, JsonObject][] {
  const { network, autoencoder, text, single } = source;
  const at = (folder: string) => (single ? 'config.json' : `${folder}/config.json`);
  const files: [string, JsonObject][] = [];
  if (network) {
    const size = sampleSize && (sampleSize[0] === sampleSize[1] ? sampleSize[0] : [...sampleSize]);
    const config = size === null ? network.config : { ...network.config, sample_size: size };
    files.push([at('unet'), named(network.className, config)]);
  }
  if (autoencoder) {
    files.push([at(coderFolder(source)), named(autoencoder.network.className, autoencoder.network.config)]);
  }
  if (text) {
    files.push([at('text_encoder'), textConfig(text, originalTextConfig(source))]);
  }
  return files;
}

/** Configs, tokenizer, labels and notices beside ONNX files, as in a diffusers folder. */
export async function writeConfigs(
  dir: string,
  source: ExportSource,
  sampleSize: readonly [number, number] | null,
): Promise<void> {
  const put = async (file: string, content: JsonObject) => {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), formatJson(content));
  };
  for (const [file, content] of configsOf(source, sampleSize)) await put(file, content);
  await copyNotices(source.dir, dir);
  const { pipeline, model } = source;
  if (!pipeline || !model) return;
  const scheduler = schedulerOf(pipeline, model);
  await put('model_index.json', modelIndex({ ...componentsOf(source), scheduler }));
  await put('scheduler/scheduler_config.json', { ...scheduler.config, _class_name: scheduler.className });
  await put('sumi.json', source.sumi);
  await copyTokenizer(pipeline.tokenizer, dir);
}

/** Classes of a pipeline's networks, as model_index.json lists them. */
function componentsOf(source: ExportSource) {
  const { pipeline, network, autoencoder, text } = source;
  return {
    className: pipeline?.className ?? undefined,
    unet: { className: network?.className ?? 'UNet2DModel' },
    autoencoder: autoencoder
      ? { className: autoencoder.network.className, folder: coderFolder(source) }
      : undefined,
    textEncoder: text ? { className: CLIP_TEXT_CLASS_NAME } : undefined,
  };
}

/** Copies a tokenizer's folder, if there is one. */
export async function copyTokenizer(from: string | null, dir: string): Promise<void> {
  if (from !== null) await cp(from, path.join(dir, 'tokenizer'), { recursive: true, dereference: true });
}
