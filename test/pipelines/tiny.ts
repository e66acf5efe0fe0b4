/** Small checkpoints with random weights, written as training writes them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import {
  type AutoencoderInput,
  autoencoderSpecs,
  parseAutoencoderConfig,
} from '../../src/autoencoder/index.js';
import type { JsonObject } from '../../src/checkpoint/json.js';
import { writePipelineDir } from '../../src/checkpoint/write.js';
import { initParams } from '../../src/engine/params.js';
import { Random } from '../../src/random.js';
import { parseUNet2DConfig, type UNet2DConfigInput, unet2dSpecs } from '../../src/unet/index.js';

export const unet: UNet2DConfigInput = {
  sample_size: 16,
  block_out_channels: [8, 16],
  down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
  up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
  layers_per_block: 1,
  norm_num_groups: 4,
  attention_head_dim: 8,
};

export const vae: AutoencoderInput = {
  block_out_channels: [8, 8],
  down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
  up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
  latent_channels: 4,
  norm_num_groups: 4,
  sample_size: 16,
  scaling_factor: 0.5,
};

export interface TinyModel {
  readonly unet?: UNet2DConfigInput;
  readonly autoencoder?: AutoencoderInput;
  readonly sumi?: JsonObject;
  /** Factor of all weights: a huge one makes the network's numbers overflow. */
  readonly scale?: number;
}

/** 16×16 pixels, three labels and the null class. */
export const labelled: TinyModel = {
  unet: { num_class_embeds: 4 },
  sumi: {
    version: 1,
    resolution: 16,
    labels: ['ant', 'bee', 'cat'],
    null_label: 3,
    defaults: { steps: 3, scheduler: 'ddim', guidance_scale: 2 },
  },
};

/** 16×16 pixels as latents of 8×8×4, without labels. */
export const latent: TinyModel = {
  unet: { sample_size: 8, in_channels: 4, out_channels: 4 },
  autoencoder: vae,
};

/** 16×16 pixels, by Skip blocks, which cannot be cut for feature caching. */
export const skips: TinyModel = {
  unet: {
    down_block_types: ['SkipDownBlock2D', 'SkipDownBlock2D'],
    up_block_types: ['SkipUpBlock2D', 'SkipUpBlock2D'],
  },
};

export async function writeTiny(dir: string, model: TinyModel): Promise<string> {
  const config = parseUNet2DConfig({ ...unet, ...model.unet });
  const specs = unet2dSpecs(config);
  const scale = model.scale ?? 1;
  const autoencoder = model.autoencoder && parseAutoencoderConfig(model.autoencoder);
  await writePipelineDir(dir, {
    unet: {
      className: 'UNet2DModel',
      config: config as unknown as JsonObject,
      weights: { specs, params: initParams(specs, new Random(7)).map((w) => w * scale) },
    },
    scheduler: { className: 'DDIMScheduler', config: { clip_sample: !autoencoder } },
    ...(autoencoder && {
      autoencoder: {
        className: 'AutoencoderKL',
        config: autoencoder as unknown as JsonObject,
        weights: {
          specs: autoencoderSpecs(autoencoder),
          params: initParams(autoencoderSpecs(autoencoder), new Random(8)),
        },
      },
    }),
    sumi: model.sumi,
  });
  return dir;
}

/** A temporary folder for the tests of one file, removed after them. */
export function temporaryFolder(): (...names: string[]) => string {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sumi-pipelines-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  return (...names) => join(dir, ...names);
}
