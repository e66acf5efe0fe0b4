/** Which file of a model's folder holds its weights. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { fileError } from '../files/index.js';
import { refusePickle } from './safetensors.js';

/** What diffusers calls the weights of every model, and transformers those of its own. */
const STEM = 'diffusion_pytorch_model';
export const TRANSFORMERS_STEM = 'model';
export const WEIGHTS_NAME = `${STEM}.safetensors`;

/**
 * Finds a model's weights: the plain file, then its index, then a variant (`….fp16.safetensors`).
 * @throws InputError when there are none, or pickles only
 */
export async function findWeights(dir: string, stem = STEM): Promise<string> {
  const plain = `${stem}.safetensors`;
  const names = await readdir(dir).catch((error) => {
    throw fileError(error, dir, 'cannot read');
  });
  const found =
    names.find((name) => name === plain) ??
    names.find((name) => name === `${plain}.index.json`) ??
    names.sort().find((name) => new RegExp(`^${stem}\\.\\w+\\.safetensors$`).test(name)) ??
    names.find((name) => new RegExp(`^${stem}\\.safetensors\\.index\\.\\w+\\.json$`).test(name));
  if (found) return join(dir, found);
  const pickle = names.find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  if (pickle) throw refusePickle(join(dir, pickle));
  throw new InputError(`no weights: ${plain} is missing — ${dir} — copy the whole checkpoint folder`);
}
