/** A network by itself: one component of a pipeline, in a folder of its own as they are published too. */
import { join } from 'node:path';
import { isFile, settledDirectory } from '../files/index.js';
import { type JsonObject, readJsonObject } from './json.js';
import type { AutoencoderFolder, ModelComponent } from './pipeline.js';
import { findWeights, TRANSFORMERS_STEM } from './weights.js';

/** What a pipeline calls the folder of a network. */
export type ComponentFolder = 'unet' | AutoencoderFolder | 'text_encoder' | 'refiner';

/** A folder that holds one network and nothing else. */
export interface BareComponent extends ModelComponent {
  readonly dir: string;
  readonly folder: ComponentFolder;
}

/** diffusers' class, or transformers', which stands in a list. */
function classOf({ _class_name: own, architectures, model_type: type }: JsonObject): string | null {
  if (typeof own === 'string') return own;
  const [first] = Array.isArray(architectures) ? architectures : [];
  if (typeof first === 'string') return first;
  return type === 'clip_text_model' ? 'CLIPTextModel' : null;
}

function folderOf(className: string): ComponentFolder | null {
  if (className.startsWith('UNet')) return 'unet';
  if (className === 'VQModel') return 'vqvae';
  if (className.startsWith('Autoencoder')) return 'vae';
  return className === 'CLIPTextModel' ? 'text_encoder' : null;
}

/** Whether a folder holds a pipeline, or a run that has written one. */
async function holdsPipeline(dir: string): Promise<boolean> {
  // A scheduler beside the network makes a flat pipeline of it.
  const files = ['model_index.json', 'unet/config.json', 'model/model_index.json', 'scheduler_config.json'];
  for (const file of files) if (await isFile(join(dir, file))) return true;
  return false;
}

/**
 * Reads the config of a network by itself and finds its weights, without reading them.
 * @returns null when the folder is something else, a pipeline for one
 * @throws InputError when its config is damaged or its weights are missing
 */
export async function readBareComponent(path: string): Promise<BareComponent | null> {
  const dir = await settledDirectory(path);
  const file = join(dir, 'config.json');
  if (!(await isFile(file)) || (await holdsPipeline(dir))) return null;
  const config = await readJsonObject(file);
  const className = classOf(config);
  const folder = className && folderOf(className);
  if (!className || !folder) return null;
  const stem = folder === 'text_encoder' ? TRANSFORMERS_STEM : undefined;
  return { dir, folder, className, config, weights: await findWeights(dir, stem) };
}
