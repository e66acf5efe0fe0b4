/** Tiny Stable Diffusion checkpoints: configs from test/fixtures/stable-diffusion, weights by their hashes. */
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAutoencoder } from '../../src/autoencoder/index.js';
import { saveParams } from '../../src/checkpoint/load.js';
import type { FloatDtype } from '../../src/checkpoint/safetensors.js';
import type { ParamSpec } from '../../src/engine/params.js';
import { clipTextSpecs, parseClipTextConfig } from '../../src/text/index.js';
import { openUNet } from '../../src/unet/index.js';
import { hashedValues } from '../fixtures/models/load.js';

const fixtures = join(import.meta.dirname, '../fixtures');

export const stableCheckpoints = ['sd1', 'sd2', 'paint'] as const;
export type StableCheckpoint = (typeof stableCheckpoints)[number];

const tokenizers = { sd1: 'sd1', sd2: 'v5', paint: 'sd1' } as const;

/** Writes one of record.py's checkpoints whole. */
export async function writeStable(
  dir: string,
  name: StableCheckpoint,
  dtype: FloatDtype = 'F32',
): Promise<string> {
  await cp(join(fixtures, 'stable-diffusion', name), dir, { recursive: true });
  const tokenizer = join(fixtures, 'text', tokenizers[name]);
  await cp(tokenizer, join(dir, 'tokenizer'), {
    recursive: true,
    filter: (file) => !file.endsWith('ids.json'),
  });
  const config = async (part: string): Promise<unknown> =>
    JSON.parse(await readFile(join(dir, part, 'config.json'), 'utf8'));
  const write = (part: string, file: string, specs: readonly ParamSpec[], named = specs) =>
    saveParams(named, Float32Array.from(specs.flatMap(hashedValues)), join(dir, part, file), dtype);
  const unet = openUNet('UNet2DConditionModel', await config('unet'), dir);
  await write('unet', 'diffusion_pytorch_model.safetensors', unet.specs);
  const vae = openAutoencoder('AutoencoderKL', await config('vae'), dir);
  await write('vae', 'diffusion_pytorch_model.safetensors', vae.specs);
  const text = clipTextSpecs(parseClipTextConfig(await config('text_encoder')));
  // As transformers 5 names them where the tokenizer is of that release, too.
  const later = text.map((spec) => ({ ...spec, name: spec.name.replace(/^text_model\./, '') }));
  await write('text_encoder', 'model.safetensors', text, name === 'sd2' ? later : text);
  return dir;
}
