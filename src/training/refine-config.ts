/** What the training of a refiner is made of: the keys of its settings file, and the options of the command line. */
import { z } from 'zod';
import type { UNet2DConfigInput } from '../unet/index.js';
import { optimizer } from './config.js';
import { parseSettings } from './settings.js';

const count = z.number().int().positive();

/** Three levels without attention: what is to be refined is near, and any size will do. */
const MODEL: UNet2DConfigInput = {
  block_out_channels: [32, 64, 96],
  down_block_types: ['DownBlock2D', 'DownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'UpBlock2D', 'UpBlock2D'],
  layers_per_block: 1,
  norm_num_groups: 8,
  add_attention: false,
};

const schema = z.strictObject({
  ...optimizer,
  batch_size: count.default(8),
  learning_rate: z.number().positive().default(5e-4),
  lr_warmup_steps: z.number().int().nonnegative().default(100),
  steps: count.default(4000),
  seed: z.number().int().nonnegative().default(0),
  /** How many times larger pictures become along a side. */
  scale: z.number().int().min(1).max(8).default(2),
  /** Keys of diffusers' UNet2DModel; channels and size are filled in. */
  model: z.record(z.string(), z.unknown()).default({ ...MODEL }),
  /** The model redraws pictures at strengths from 0 to this, so that its refiner knows its faults. */
  strength: z.number().min(0).max(1).default(0.1),
  /** Steps of a redrawing at strength 1. */
  redraw_steps: count.default(20),
  /** Share of the pictures that are held back to be measured on; 64 at most. */
  held_back: z.number().min(0).max(0.5).default(0.05),
  /** Weight of the differences of neighbouring pixels beside those of pixels: keeps lines sharp. */
  edge_weight: z.number().nonnegative().default(1),
  background: z.string().default('#ffffff'),
  fit: z.enum(['crop', 'pad', 'stretch']).default('crop'),
});

/** The settings of a refiner's training: what its run's config.json holds under `config`. */
export type RefineConfig = Readonly<z.output<typeof schema>>;

/**
 * Checks and completes the settings of a refiner's training.
 * @param where file or option they came from, for messages
 * @throws InputError naming the key that is unknown or out of range
 */
export function parseRefineConfig(value: unknown, where: string): RefineConfig {
  return parseSettings(schema, value, where);
}
