/** Settings of a segmentation run: the network, its loss, the patches, and how long. */
import { z } from 'zod';
import { InputError } from '../errors.js';
import { parseSettings } from '../training/settings.js';
import { parseClassicUNetConfig } from '../unet/index.js';

const count = z.number().int().positive();
const share = z.number().min(0).max(1);

const schema = z.strictObject({
  seed: z.number().int().nonnegative().default(0),
  /** Longest side that pictures are brought to; null: as they are. */
  resize: count.nullable().default(null),
  /** Share of the pictures that is held back to measure by, in whole groups. */
  validation: z.number().min(0).max(0.9).default(0.2),
  /** Measurings without a better mean Dice after which training stops; 0: never. */
  patience: z.number().int().nonnegative().default(10),
  /** Side of the square patches that are trained on. */
  patch: count.default(128),
  /** Share of the patches around a pixel of a class other than the background, each class as often. */
  focus: share.default(0.5),
  /** `none`, `balanced` (median frequency over frequency, Eigen & Fergus 2015), or a number for each class. */
  class_weights: z.union([z.enum(['none', 'balanced']), z.array(z.number().nonnegative())]).default('none'),
  loss: z
    .strictObject({
      cross_entropy: z.number().nonnegative().default(1),
      dice: z.number().nonnegative().default(1),
    })
    .default({ cross_entropy: 1, dice: 1 })
    .refine((loss) => loss.cross_entropy + loss.dice > 0, 'one of both must be above 0'),
  augment: z
    .strictObject({
      flip: z.boolean().default(true),
      quarters: z.boolean().default(false),
      rotate: z.number().min(0).max(180).default(10),
      scale: z.number().min(0).max(3).default(0.15),
      elastic: z.number().min(0).default(0),
      colour: share.default(0.15),
    })
    .default({ flip: true, quarters: false, rotate: 10, scale: 0.15, elastic: 0, colour: 0.15 }),
  /** Keys of the classic U-Net; n_channels and n_classes are filled in. */
  model: z
    .strictObject({ base: count.default(16), levels: z.number().int().min(1).max(8).default(3) })
    .default({ base: 16, levels: 3 }),
  batch_size: count.default(8),
  learning_rate: z.number().positive().default(2e-3),
  lr_warmup_steps: z.number().int().nonnegative().default(50),
  lr_scheduler: z.enum(['cosine', 'constant']).default('cosine'),
  adam_beta1: z.number().min(0).lt(1).default(0.9),
  adam_beta2: z.number().min(0).lt(1).default(0.99),
  adam_epsilon: z.number().positive().default(1e-8),
  adam_weight_decay: z.number().nonnegative().default(1e-4),
  max_grad_norm: z.number().nonnegative().default(1),
  ema_decay: z.number().min(0).lt(1).default(0.98),
  steps: count.default(1000),
  /** Steps between training states; each time the model is measured, and kept if it is the best so far. */
  checkpoint_every: count.default(100),
});

export type SegmentConfig = Readonly<z.output<typeof schema>>;
export type SegmentConfigInput = z.input<typeof schema>;

/**
 * Checks and completes the settings of a segmentation run.
 * @param where file or option they came from, for messages
 * @throws InputError naming the key that is unknown or out of range
 */
export function parseSegmentConfig(value: unknown, where = 'settings'): SegmentConfig {
  const config = parseSettings(schema, value, where, 'docs/segmentation.md');
  parseClassicUNetConfig(config.model, where);
  const unit = 2 ** config.model.levels;
  if (config.patch % unit !== 0) {
    throw new InputError(
      `a patch of ${config.patch} pixels does not halve ${config.model.levels} times — ${where} — use a multiple of ${unit}`,
    );
  }
  // One value a channel has no variance, and batch norm would have nothing to divide by.
  if (config.batch_size * (config.patch / unit) ** 2 < 4) {
    throw new InputError(
      `a batch has ${config.batch_size * (config.patch / unit) ** 2} pixels at the lowest level, too few for batch norm — ${where} — use larger patches, more of them, or fewer levels`,
    );
  }
  return config;
}
