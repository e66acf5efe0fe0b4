/** Ids against transformers' CLIPTokenizer (test/fixtures/text/record.py). */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { readClipTokenizer } from '../../src/text/index.js';

const fixtures = join(import.meta.dirname, '../fixtures/text');

interface Recorded {
  readonly texts: readonly string[];
  readonly ids: readonly (readonly number[])[];
  readonly whole: readonly (readonly number[])[];
}

describe.each(['sd1', 'sd2', 'v5'])('ids as transformers gives them: %s', async (name) => {
  const dir = join(fixtures, name);
  const { texts, ids, whole } = JSON.parse(await readFile(join(dir, 'ids.json'), 'utf8')) as Recorded;
  const tokenizer = await readClipTokenizer(dir, 77);

  it.each(texts.map((text, i) => [text.slice(0, 40), text, i] as const))('%j', (_, text, i) => {
    expect(tokenizer.tokens(text)).toEqual(whole[i]);
    expect(Array.from(tokenizer.encode(text))).toEqual(ids[i]);
  });
});

describe('a tokenizer folder', () => {
  let dir: string;
  beforeEach(async () => {
    dir = join(await mkdtemp(join(tmpdir(), 'sumi-tokenizer-')), 'tokenizer');
    await cp(join(fixtures, 'sd1'), dir, { recursive: true });
  });
  afterEach(() => rm(join(dir, '..'), { recursive: true }));

  const remove = (...names: string[]) => Promise.all(names.map((name) => rm(join(dir, name))));

  it('need not say what the special tokens are, nor how long a text may be', async () => {
    await remove('tokenizer_config.json', 'special_tokens_map.json');
    const tokenizer = await readClipTokenizer(dir, 9);
    const whole = await readClipTokenizer(join(fixtures, 'sd1'), 9);
    expect(whole.data.maxLength).toBe(9);
    expect(tokenizer.encode('a cat')).toEqual(whole.encode('a cat'));
  });

  it('may add tokens of its own', async () => {
    await writeFile(join(dir, 'added_tokens.json'), JSON.stringify({ '<Toy>': 700 }));
    const tokenizer = await readClipTokenizer(dir, 16);
    expect(tokenizer.tokens('a <toy>cat')).toEqual([
      ...tokenizer.tokens('a'),
      700,
      ...tokenizer.tokens('cat'),
    ]);
  });

  it.each(['vocab.json', 'merges.txt'])('without %s is refused', async (name) => {
    await remove(name);
    const opened = readClipTokenizer(dir, 16);
    await expect(opened).rejects.toThrow(InputError);
    await expect(opened).rejects.toThrow(new RegExp(`no tokenizer file — .*${name} — copy`));
  });

  it('that is damaged is refused', async () => {
    await writeFile(join(dir, 'merges.txt'), '#version: 0.2\na b c\n');
    await expect(readClipTokenizer(dir, 16)).rejects.toThrow(/"a b c" is no pair.*merges\.txt/);
    await writeFile(join(dir, 'merges.txt'), '');
    await writeFile(join(dir, 'vocab.json'), '{"a": 0, "b": "one"}');
    await expect(readClipTokenizer(dir, 16)).rejects.toThrow(/no table of tokens.*vocab\.json/);
    await writeFile(join(dir, 'vocab.json'), '{"a": 0}');
    await expect(readClipTokenizer(dir, 16)).rejects.toThrow(/bos_token "<\|startoftext\|>" is not in the/);
  });
});
