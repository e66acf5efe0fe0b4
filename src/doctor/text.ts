/** What turns texts into what the U-Net is told: the tokenizer's files, the text encoder, and the two together. */
import path from 'node:path';
import type { ModelComponent, PipelineDir } from '../checkpoint/pipeline.js';
import { InputError } from '../errors.js';
import { isFile } from '../files/index.js';
import { PromptEncoder, type TextModel } from '../pipelines/text.js';
import {
  CLIP_TEXT_CLASS_NAME,
  type ClipTextConfig,
  type ClipTokenizer,
  clipTextName,
  clipTextSpecs,
  parseClipTextConfig,
  readClipTokenizer,
} from '../text/index.js';
import type { Findings } from './findings.js';
import { examineWeights } from './weights.js';

/** Two texts that mean different things. */
const TEXTS = ['', 'a photo of a cat'] as const;

/** Files that say how texts are padded and cut. */
const CONFIG = 'tokenizer_config.json';

export interface ExaminedText {
  readonly config: ClipTextConfig;
  /** Null when they do not load. */
  readonly params: Float32Array | null;
}

/** A text encoder's config and weights. @param dir its folder */
export async function examineTextEncoder(
  component: ModelComponent,
  dir: string,
  findings: Findings,
): Promise<ExaminedText | null> {
  const config = await findings.attempt('config', () => {
    if (component.className === CLIP_TEXT_CLASS_NAME) return parseClipTextConfig(component.config, dir);
    throw new InputError(
      `a ${component.className} is not supported — ${dir} — use a checkpoint with a ${CLIP_TEXT_CLASS_NAME}`,
    );
  });
  if (!config) return null;
  const params = await examineWeights(clipTextSpecs(config), component.weights, findings, clipTextName);
  return { config, params };
}

async function examineTokenizer(
  dir: string,
  config: ClipTextConfig | null,
  findings: Findings,
): Promise<ClipTokenizer | null> {
  // Without the encoder's config any length will do to read the files.
  const longest = config?.max_position_embeddings ?? 77;
  const tokenizer = await findings.attempt('text', () => readClipTokenizer(dir, longest));
  if (!tokenizer) return null;
  if (!(await isFile(path.join(dir, CONFIG))))
    findings.warn(
      'text',
      `no ${CONFIG}: special tokens and the length of texts are CLIP's own — ${dir} — copy the whole checkpoint folder`,
    );
  if (config && tokenizer.largestId >= config.vocab_size)
    findings.error(
      'text',
      `the tokenizer has a token ${tokenizer.largestId}, the text encoder ${config.vocab_size} — ${dir} — use the tokenizer that belongs to it`,
    );
  if (config && config.vocab_size - 1 > 2 * tokenizer.largestId)
    findings.warn(
      'text',
      `the text encoder knows ${config.vocab_size} tokens, the tokenizer ${tokenizer.largestId + 1} — ${dir} — use the tokenizer that belongs to it`,
    );
  return tokenizer;
}

/** Encodes two texts. @returns the encoder; null when it gives no numbers, or none that depend on the text */
async function tryTexts(
  model: TextModel,
  dir: string,
  threads: number | undefined,
  findings: Findings,
): Promise<PromptEncoder | null> {
  const encoder = new PromptEncoder(model, { threads });
  const [empty, cat] = [await encoder.encode(TEXTS[0]), await encoder.encode(TEXTS[1])];
  const where = path.join(dir, 'text_encoder');
  if (![empty, cat].every((told) => told.every(Number.isFinite)))
    findings.error('text', `a text encodes to NaN — ${where} — use another copy of the text encoder`);
  else if (empty.every((v, i) => Math.abs(v - cat[i]) < 1e-6))
    findings.error(
      'text',
      `two different texts encode to the same — ${where} — use the text encoder and tokenizer that belong to the model`,
    );
  else return encoder;
  await encoder.dispose();
  return null;
}

/**
 * Examines all that a model of texts needs for them.
 * @param channels what the U-Net wants of each token
 * @returns an encoder of texts, to be disposed of; null when there is none that works
 */
export async function examineText(
  { dir, textEncoder, tokenizer }: PipelineDir,
  channels: number,
  threads: number | undefined,
  findings: Findings,
): Promise<PromptEncoder | null> {
  const where = path.join(dir, 'text_encoder');
  for (const [part, name] of [
    [textEncoder, 'text_encoder'],
    [tokenizer, 'tokenizer'],
  ] as const) {
    if (part === null)
      findings.error('text', `no ${name} — ${path.join(dir, name)} — copy the whole checkpoint folder`);
  }
  const examined = textEncoder && (await examineTextEncoder(textEncoder, where, findings));
  const width = examined?.config.hidden_size ?? channels;
  if (width !== channels)
    findings.error(
      'config',
      `the text encoder gives ${width} channels (hidden_size), the UNet wants ${channels} (cross_attention_dim) — ${dir} — use the text encoder that belongs to it`,
    );
  const opened = tokenizer && (await examineTokenizer(tokenizer, examined?.config ?? null, findings));
  if (!examined?.params || !opened || width !== channels) return null;
  const { config, params } = examined;
  if (opened.largestId >= config.vocab_size) return null;
  return tryTexts({ config, params, tokenizer: opened }, dir, threads, findings);
}
