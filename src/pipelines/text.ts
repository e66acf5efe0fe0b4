/** The text part of a checkpoint: its weights, and prompts as the U-Net is told them. */
import path from 'node:path';
import { loadParams } from '../checkpoint/load.js';
import type { PipelineDir } from '../checkpoint/pipeline.js';
import { Compiled, type CompileOptions } from '../engine/compile.js';
import type { Params } from '../engine/params.js';
import type { Tensor, Tensor2D } from '../engine/tf.js';
import { InputError } from '../errors.js';
import {
  CLIP_TEXT_CLASS_NAME,
  type ClipTextConfig,
  type ClipTokenizer,
  clipText,
  clipTextName,
  clipTextSpecs,
  parseClipTextConfig,
  readClipTokenizer,
} from '../text/index.js';
import { asConstants } from './constants.js';

export interface TextModel {
  readonly config: ClipTextConfig;
  readonly params: Float32Array;
  readonly tokenizer: ClipTokenizer;
}

/**
 * Loads the text encoder and the tokenizer of a checkpoint.
 * @param channels what the U-Net wants
 * @throws InputError when one is missing or damaged, or the two networks do not fit together
 */
export async function loadText(pipeline: PipelineDir, channels: number): Promise<TextModel> {
  const { dir, textEncoder, tokenizer } = pipeline;
  const missing = (name: string) =>
    new InputError(`no ${name} — ${path.join(dir, name)} — copy the whole checkpoint folder`);
  if (!textEncoder) throw missing('text_encoder');
  if (!tokenizer) throw missing('tokenizer');
  const where = path.join(dir, 'text_encoder');
  if (textEncoder.className !== CLIP_TEXT_CLASS_NAME) {
    throw new InputError(
      `a ${textEncoder.className} is not supported — ${where} — use a checkpoint with a ${CLIP_TEXT_CLASS_NAME}`,
    );
  }
  const config = parseClipTextConfig(textEncoder.config, where);
  if (config.hidden_size !== channels) {
    throw new InputError(
      `the text encoder gives ${config.hidden_size} channels (hidden_size), the UNet wants ${channels} (cross_attention_dim) — ${dir} — use the text encoder that belongs to it`,
    );
  }
  const opened = await readClipTokenizer(tokenizer, config.max_position_embeddings);
  const largest = opened.largestId;
  if (largest >= config.vocab_size) {
    throw new InputError(
      `the tokenizer has a token ${largest}, the text encoder ${config.vocab_size} — ${dir} — use the tokenizer that belongs to it`,
    );
  }
  const params = await loadParams(clipTextSpecs(config), textEncoder.weights, clipTextName);
  return { config, params, tokenizer: opened };
}

/** How many prompts are remembered: a picture has two. */
const REMEMBERED = 16;

/** Encodes prompts, each once. */
export class PromptEncoder {
  /** Tokens of a prompt and channels of each. */
  readonly shape: readonly [number, number];
  private readonly compiled: Compiled;
  private readonly known = new Map<string, Promise<Float32Array>>();

  constructor(
    readonly model: TextModel,
    options: CompileOptions = {},
  ) {
    const { config, params, tokenizer } = model;
    this.shape = [tokenizer.data.maxLength, config.hidden_size];
    this.compiled = new Compiled(
      ({ ids, ...weights }: Record<string, Tensor>) => ({
        context: clipText(config, weights as Params, ids as Tensor2D),
      }),
      { name: 'text encoder', ...options, constants: asConstants(clipTextSpecs(config), params) },
    );
  }

  /** What the U-Net is told of a prompt, [tokens, channels]. */
  encode(prompt: string): Promise<Float32Array> {
    const known = this.known.get(prompt);
    if (known) return known;
    const encoding = this.run(prompt);
    if (this.known.size >= REMEMBERED) this.known.clear();
    this.known.set(prompt, encoding);
    encoding.catch(() => this.known.delete(prompt));
    return encoding;
  }

  private async run(prompt: string): Promise<Float32Array> {
    const data = this.model.tokenizer.encode(prompt);
    const { context } = await this.compiled.run({ ids: { data, shape: [1, data.length], dtype: 'int32' } });
    return context as Float32Array;
  }

  dispose(): Promise<void> {
    this.known.clear();
    return this.compiled.dispose();
  }
}
