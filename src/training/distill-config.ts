/** What a distillation is made of: the keys of its settings file, and the options of the command line. */
import { z } from 'zod';
import { optimizer } from './config.js';
import { parseSettings } from './settings.js';

const count = z.number().int().positive();

const schema = z.strictObject({
  ...optimizer,
  /** Pictures a step; the student learns all of its own steps from each. */
  batch_size: count.default(8),
  /** A tenth of what the teacher may have been trained with: the student begins where that ended. */
  learning_rate: z.number().positive().default(5e-5),
  lr_warmup_steps: z.number().int().nonnegative().default(50),
  ema_decay: z.number().min(0).lt(1).default(0.995),
  steps: count.default(2000),
  checkpoint_every: count.default(250),
  seed: z.number().int().nonnegative().default(0),
  /** Evaluations in which the student draws a picture. */
  student_steps: count.default(4),
  /** Steps of the teacher for one of the student's. */
  teacher_steps: count.default(4),
  /** How many steps of training learn from a picture of the teacher's, on average. */
  reuse: z.number().min(1).default(4),
  /** Pictures of the teacher's that are held at a time. */
  pool: count.default(128),
  /** Weight of the guidance that becomes part of the student; null: the teacher's own. */
  guidance_scale: z.number().nonnegative().nullable().default(null),
});

/** The settings of a distillation: what its run's config.json holds under `config`. */
export type DistillConfig = Readonly<z.output<typeof schema>>;

/**
 * Checks and completes the settings of a distillation.
 * @param where file or option they came from, for messages
 * @throws InputError naming the key that is unknown or out of range
 */
export function parseDistillConfig(value: unknown, where: string): DistillConfig {
  return parseSettings(schema, value, where);
}
