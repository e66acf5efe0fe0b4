import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { autoencoderSpecs, klNetwork, parseAutoencoderConfig } from '../../src/autoencoder/index.js';
import { makeStyleDataset, openDataset } from '../../src/data/index.js';
import { initParams } from '../../src/engine/params.js';
import { Random } from '../../src/random.js';
import { encodeDataset } from '../../src/training/autoencoder.js';
import { maxError } from '../engine/helpers.js';

it('the diffusion model is trained on latents shifted and scaled as the autoencoder says', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sumi-latents-'));
  try {
    const data = join(folder, 'shapes');
    await makeStyleDataset('shapes', { out: data, size: 8, count: 5, seed: 1 });
    const dataset = await openDataset(data, { size: 8 });
    const config = parseAutoencoderConfig({
      block_out_channels: [8],
      norm_num_groups: 4,
      sample_size: 8,
      mid_block_add_attention: false,
      scaling_factor: 1,
    });
    const params = initParams(autoencoderSpecs(config), new Random(1));
    const { latents, std } = await encodeDataset(klNetwork(config), params, dataset, {});
    const squares = latents.reduce((sum, z) => sum + z * z, 0);
    expect(std).toBeCloseTo(Math.sqrt(squares / latents.length), 5);
    const moved = { ...config, scaling_factor: 2, shift_factor: 0.3 };
    const scaled = await encodeDataset(klNetwork(moved), params, dataset, {});
    expect(
      maxError(
        scaled.latents,
        latents.map((z) => 2 * (z - 0.3)),
      ),
    ).toBeLessThan(1e-5);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
