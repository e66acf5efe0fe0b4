/** Reads a tokenizer's folder, as transformers 4 (vocab.json and merges.txt) or 5 (tokenizer.json) writes it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type JsonObject, type JsonValue, readJsonObject } from '../checkpoint/json.js';
import { InputError } from '../errors.js';
import { fileError, isFile } from '../files/index.js';
import { type AddedToken, ClipTokenizer, type TokenizerData } from './tokenizer.js';

const REMEDY = 'copy the whole checkpoint folder';

const objectOf = (value: JsonValue | undefined): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};

type Words = Pick<TokenizerData, 'vocab' | 'merges'>;

/** @throws InputError naming what is missing or damaged */
async function readWords(dir: string, tokenizer: JsonObject | null): Promise<Words> {
  if (tokenizer) {
    const path = join(dir, 'tokenizer.json');
    const model = objectOf(tokenizer.model);
    const pairs = Array.isArray(model.merges) ? model.merges : [];
    // Written as "a b" by earlier releases, as [a, b] by later ones.
    const merges = pairs.map((pair) => (Array.isArray(pair) ? pair : String(pair).split(' ')));
    return { vocab: vocabOf(objectOf(model.vocab), path), merges: merges.map((pair) => mergeOf(pair, path)) };
  }
  const [vocab, merges] = [join(dir, 'vocab.json'), join(dir, 'merges.txt')];
  for (const file of [vocab, merges]) {
    if (!(await isFile(file))) throw new InputError(`no tokenizer file — ${file} — ${REMEDY}`);
  }
  const text = await readFile(merges, 'utf8').catch((error) => {
    throw fileError(error, merges, 'cannot read');
  });
  const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#version'));
  return {
    vocab: vocabOf(await readJsonObject(vocab), vocab),
    merges: lines.map((line) => mergeOf(line.split(' '), merges)),
  };
}

function vocabOf(object: JsonObject, path: string): ReadonlyMap<string, number> {
  const entries = Object.entries(object);
  const odd = entries.find(([, id]) => !Number.isInteger(id));
  if (odd || entries.length === 0)
    throw new InputError(`no table of tokens and their numbers — ${path} — ${REMEDY}`);
  return new Map(entries as [string, number][]);
}

function mergeOf(pair: readonly JsonValue[], path: string): readonly [string, string] {
  const [a, b] = pair;
  if (pair.length === 2 && typeof a === 'string' && typeof b === 'string') return [a, b];
  throw new InputError(`"${pair.join(' ')}" is no pair of symbols — ${path} — ${REMEDY}`);
}

const KEYS = ['bos_token', 'eos_token', 'unk_token', 'pad_token'] as const;
const DEFAULTS: Readonly<Record<string, JsonValue>> = {
  bos_token: '<|startoftext|>',
  eos_token: '<|endoftext|>',
  unk_token: '<|endoftext|>',
  pad_token: '<|endoftext|>',
};

const contentOf = (token: JsonValue | undefined): string =>
  typeof token === 'string' ? token : String(objectOf(token).content ?? '');

/**
 * Tokens that are written out with their ids: in tokenizer.json, in the config's added_tokens_decoder, or in
 * added_tokens.json.
 */
async function readAdded(
  dir: string,
  config: JsonObject,
  tokenizer: JsonObject | null,
): Promise<AddedToken[]> {
  const listed: [JsonValue | undefined, JsonObject][] = [
    ...Object.entries(objectOf(config.added_tokens_decoder)).map(([id, token]): [JsonValue, JsonObject] => [
      Number(id),
      objectOf(token),
    ]),
    ...(Array.isArray(tokenizer?.added_tokens) ? tokenizer.added_tokens : []).map(
      (token): [JsonValue | undefined, JsonObject] => [objectOf(token).id, objectOf(token)],
    ),
  ];
  const own = join(dir, 'added_tokens.json');
  if (!config.added_tokens_decoder && (await isFile(own))) {
    for (const [content, id] of Object.entries(await readJsonObject(own)))
      listed.push([id, { content, normalized: true }]);
  }
  return listed.flatMap(([id, { content, normalized }]) =>
    typeof id === 'number' && typeof content === 'string' && content !== ''
      ? [{ content, id, normalized: normalized === true }]
      : [],
  );
}

/**
 * Opens a CLIP tokenizer.
 * @param dir folder with vocab.json and merges.txt, or tokenizer.json; tokenizer_config.json and
 * special_tokens_map.json, which may be missing, name the special tokens
 * @param longest the text encoder's longest text, where the tokenizer does not say
 * @throws InputError naming a file that is missing or damaged, or a token that the vocabulary lacks
 */
export async function readClipTokenizer(dir: string, longest: number): Promise<ClipTokenizer> {
  const read = async (name: string) =>
    (await isFile(join(dir, name))) ? readJsonObject(join(dir, name)) : null;
  const config = (await read('tokenizer_config.json')) ?? {};
  const tokenizer = await read('tokenizer.json');
  const words = await readWords(dir, tokenizer);
  const added = await readAdded(dir, config, tokenizer);
  // The map is how releases without added_tokens_decoder wrote their tokens: there it goes before the config.
  const map = config.added_tokens_decoder ? null : await read('special_tokens_map.json');
  const named = new Map<string, AddedToken>();
  const [bos, eos, unknown, pad] = KEYS.map((key) => {
    const token = map?.[key] ?? config[key] ?? DEFAULTS[key];
    const content = contentOf(token);
    const listed = added.find((other) => other.content === content);
    if (listed) return listed.id;
    const id = words.vocab.get(content);
    if (id === undefined) {
      throw new InputError(`${key} "${content}" is not in the vocabulary — ${dir} — ${REMEDY}`);
    }
    // Of several by one name the last says how it is looked for.
    named.set(content, { content, id, normalized: objectOf(token).normalized === true });
    return id;
  });
  const given = config.model_max_length;
  const maxLength = typeof given === 'number' ? Math.min(given, longest) : longest;
  return new ClipTokenizer({
    ...words,
    added: [...added, ...named.values()],
    bos,
    eos,
    unknown,
    pad,
    maxLength,
  });
}
