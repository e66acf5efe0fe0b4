/** Which file of a model's folder holds its weights. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { fileError } from '../files/index.js';
import { refusePickle } from './safetensors.js';

/** What diffusers calls the weights of every model. */
export const WEIGHTS_NAME = 'diffusion_pytorch_model.safetensors';

/**
 * Finds a model's weights: the plain file, then its index, then a variant (`….fp16.safetensors`).
 * @throws InputError when there are none, or pickles only
 */
export async function findWeights(dir: string): Promise<string> {
  const names = await readdir(dir).catch((error) => {
    throw fileError(error, dir, 'cannot read');
  });
  const found =
    names.find((name) => name === WEIGHTS_NAME) ??
    names.find((name) => name === `${WEIGHTS_NAME}.index.json`) ??
    names.sort().find((name) => /^diffusion_pytorch_model\.\w+\.safetensors$/.test(name)) ??
    names.find((name) => /^diffusion_pytorch_model\.safetensors\.index\.\w+\.json$/.test(name));
  if (found) return join(dir, found);
  const pickle = names.find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  if (pickle) throw refusePickle(join(dir, pickle));
  throw new InputError(`no weights: ${WEIGHTS_NAME} is missing — ${dir} — copy the whole checkpoint folder`);
}
