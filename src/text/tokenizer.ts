import { InputError } from '../errors.js';
import { BytePairs } from './bpe.js';

/** A token that is looked for in the text itself, before it is cut into words. */
export interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** Whether it is looked for in the text as it is (false), or after lower-casing (true). */
  readonly normalized: boolean;
}

/** What a tokenizer's files say. */
export interface TokenizerData {
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [string, string])[];
  readonly added: readonly AddedToken[];
  /** Ids of what stands before and after a text, what fills it up, and what stands for the unknown. */
  readonly bos: number;
  readonly eos: number;
  readonly pad: number;
  readonly unknown: number;
  /** The longest text in tokens, bos and eos included. */
  readonly maxLength: number;
}

/** Words of a text in lower case (CLIP's expression): contractions, runs of letters, single digits, runs of the rest. */
const WORDS =
  /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu;

/** transformers cuts words once more, by GPT-2's expression, which takes apart what looks like a special token. */
const PARTS = /\p{L}+|\p{N}+|[^\p{L}\p{N}]+/gu;
const CONTRACTION = /^'(s|t|re|ve|m|ll|d)$/;

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Cuts a text at the tokens: strings between them, and their ids. */
function cut(text: string, tokens: readonly AddedToken[]): (string | number)[] {
  if (tokens.length === 0) return [text];
  const ids = new Map(tokens.map(({ content, id }) => [content, id]));
  // Where several begin at one place, the longest counts.
  const longestFirst = [...ids.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(`(${longestFirst.map(escaped).join('|')})`, 'u');
  return text.split(pattern).map((part, i) => (i % 2 === 1 ? (ids.get(part) as number) : part));
}

/** One character after another, so that a sigma at a word's end is a sigma like any other. */
const lowerCase = (text: string): string => Array.from(text, (c) => c.toLowerCase()).join('');

/**
 * CLIP's tokenizer (Radford et al. 2021, section 2.4): byte-pair encoding of lower-cased words. Gives the ids of
 * transformers' CLIPTokenizer (release 5).
 */
export class ClipTokenizer {
  private readonly pairs: BytePairs;

  constructor(readonly data: TokenizerData) {
    this.pairs = new BytePairs(data.merges);
    if (data.maxLength < 2)
      throw new InputError(
        `model_max_length ${data.maxLength} — tokenizer — it must hold a beginning and an end`,
      );
  }

  /** The largest id that a text can have. */
  get largestId(): number {
    const { vocab, added } = this.data;
    let largest = 0;
    for (const id of vocab.values()) largest = Math.max(largest, id);
    return added.reduce((most, { id }) => Math.max(most, id), largest);
  }

  /** How many tokens of a text there is room for. */
  get room(): number {
    return this.data.maxLength - 2;
  }

  /** Ids of a text alone: nothing before or after it, however long. */
  tokens(text: string): number[] {
    const raw = this.data.added.filter((token) => !token.normalized);
    const lowered = this.data.added
      .filter((token) => token.normalized)
      .map((token) => ({ ...token, content: lowerCase(token.content.normalize('NFC')) }));
    return cut(text, raw).flatMap((part) => {
      if (typeof part === 'number') return [part];
      return cut(lowerCase(part.normalize('NFC')), lowered).flatMap((rest) =>
        typeof rest === 'number' ? [rest] : this.words(rest),
      );
    });
  }

  private words(text: string): number[] {
    const { vocab, unknown } = this.data;
    const words = (text.match(WORDS) ?? []).flatMap((word) =>
      CONTRACTION.test(word) ? [word] : (word.match(PARTS) ?? []),
    );
    return words.flatMap((word) => this.pairs.split(word).map((token) => vocab.get(token) ?? unknown));
  }

  /**
   * A text as the text encoder takes it: a beginning, the tokens as far as there is room, an end, and padding.
   * @returns int32 [maxLength]
   */
  encode(text: string): Int32Array {
    const { bos, eos, pad, maxLength } = this.data;
    const ids = new Int32Array(maxLength).fill(pad);
    const kept = this.tokens(text).slice(0, this.room);
    ids.set([bos, ...kept, eos]);
    return ids;
  }
}
