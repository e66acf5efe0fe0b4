import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.js';
import type { ParamSpec } from '../../src/engine/params.js';

export const fixtures = join(import.meta.dirname, '../fixtures/checkpoint');
export const pixelWeights = join(fixtures, 'pixels/unet/diffusion_pytorch_model.safetensors');

/** A temporary folder for the tests of one file, removed after them. */
export function temporaryFolder(): (name: string) => string {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sumi-checkpoint-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  return (name) => join(dir, name);
}

/** The parameters that a file holds, as a model would list them (in an order of its own: by name, backwards). */
export async function specsOf(path: string): Promise<ParamSpec[]> {
  const { tensors } = await readSafetensorsHeader(path);
  return [...tensors]
    .map(([name, { shape }]) => ({ name, shape, init: { constant: 0 } }))
    .sort((a, b) => (a.name < b.name ? 1 : -1));
}
