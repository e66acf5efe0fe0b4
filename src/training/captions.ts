/** What a network that is told texts learns from: each picture's label, caption or nothing, through the text encoder. */
import { totalmem } from 'node:os';
import type { PipelineDir } from '../checkpoint/pipeline.js';
import type { Dataset } from '../data/index.js';
import type { CompileOptions } from '../engine/compile.js';
import type { Feed } from '../engine/session.js';
import { InputError } from '../errors.js';
import { loadText, PromptEncoder, type TextModel } from '../pipelines/text.js';

/** Share of the memory that encoded texts may take. */
const SHARE = 0.3;

/**
 * The text encoder of the checkpoint that training starts from.
 * @param channels what the network looks at
 * @throws InputError when there is none, or it does not fit
 */
export function textModelOf(start: PipelineDir | null, channels: number): Promise<TextModel> {
  if (start) return loadText(start, channels);
  throw new InputError(
    'a network that is told texts needs a text encoder — diffusion.model — name the model that has one by --init',
  );
}

export class Captions {
  private constructor(
    /** [texts, tokens, channels]; the last text is the empty one. */
    private readonly table: Float32Array,
    private readonly shape: readonly [number, number],
  ) {}

  /**
   * Encodes each label of a dataset once, and the empty text, which stands for none.
   * @throws InputError when they would not fit in memory
   */
  static async of(
    { labels, dir }: Dataset,
    text: TextModel,
    options: CompileOptions & { readonly signal?: AbortSignal },
  ): Promise<Captions> {
    const { engine, threads, signal } = options;
    const encoder = new PromptEncoder(text, { engine, threads });
    const [tokens, channels] = encoder.shape;
    const texts = [...labels, ''];
    const bytes = texts.length * tokens * channels * 4;
    if (bytes > totalmem() * SHARE) {
      throw new InputError(
        `${labels.length} different texts need ${(bytes / 2 ** 30).toFixed(1)} GiB of memory — ${dir} — use fewer pictures, or fewer texts`,
      );
    }
    const table = new Float32Array(bytes / 4);
    try {
      for (const [i, words] of texts.entries()) {
        signal?.throwIfAborted();
        table.set(await encoder.encode(words), i * tokens * channels);
      }
    } finally {
      await encoder.dispose();
    }
    return new Captions(table, encoder.shape);
  }

  /** @param indices of texts, one a picture @returns what the network is told, [N, tokens, channels] */
  rows(indices: ArrayLike<number>): Feed {
    const each = this.shape[0] * this.shape[1];
    const data = new Float32Array(indices.length * each);
    for (let k = 0; k < indices.length; k++)
      data.set(this.table.subarray(indices[k] * each, (indices[k] + 1) * each), k * each);
    return { data, shape: [indices.length, ...this.shape], dtype: 'float32' };
  }
}
