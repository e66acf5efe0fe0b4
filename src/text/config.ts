import { z } from 'zod';
import { InputError } from '../errors.js';
import { parseConfig, positive } from '../unet/validate.js';

/** transformers' name for the network; configs call it `model_type: clip_text_model`. */
export const CLIP_TEXT_CLASS_NAME = 'CLIPTextModel';

/** Other keys of transformers' configs are of its training and generation: they do not change what is computed here. */
const schema = z.object({
  model_type: z.literal('clip_text_model', 'use a CLIPTextModel').default('clip_text_model'),
  vocab_size: positive.default(49408),
  hidden_size: positive.default(512),
  intermediate_size: positive.default(2048),
  num_hidden_layers: positive.default(12),
  num_attention_heads: positive.default(8),
  /** The longest text, in tokens. */
  max_position_embeddings: positive.default(77),
  hidden_act: z.enum(['quick_gelu', 'gelu']).default('quick_gelu'),
  layer_norm_eps: z.number().positive().default(1e-5),
  /** Whether tokens of padding are hidden from the others. */
  use_attention_mask: z.literal(false, 'use false').default(false),
});

/** A CLIP text encoder's config under transformers' keys, defaults filled in. */
export type ClipTextConfig = Readonly<z.output<typeof schema>>;

/** What may be left out is transformers' default. */
export type ClipTextInput = Readonly<z.input<typeof schema>>;

/**
 * Checks and completes a CLIPTextModel config.
 * @param value parsed text_encoder/config.json, or an object with some of its keys
 * @param where the file or option it came from, for messages
 * @throws InputError naming the key that is unsupported or at odds with another
 */
export function parseClipTextConfig(value: unknown, where = 'text_encoder/config.json'): ClipTextConfig {
  const config = parseConfig(schema, value, CLIP_TEXT_CLASS_NAME, where);
  const { hidden_size: width, num_attention_heads: heads } = config;
  if (width % heads !== 0) {
    throw new InputError(
      `num_attention_heads ${heads} does not divide hidden_size ${width} — ${where} — use a divisor`,
    );
  }
  return config;
}
