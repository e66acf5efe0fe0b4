import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import type { CommandModule } from 'yargs';
import { main } from '../../scripts/cli/main.js';
import { dataset } from '../../scripts/dataset.js';
import { capture } from '../cli/capture.js';
import { temporaryFolder } from './helpers.js';

let root: string;
beforeAll(async () => {
  root = await temporaryFolder();
});
afterEach(() => {
  process.exitCode = undefined;
});

/** Runs `sumi …` with this command alone. */
async function sumi(...words: string[]) {
  const { value, stdout, stderr } = await capture(() =>
    main(words, [dataset as CommandModule<object, never>]),
  );
  return { code: value, out: stdout, err: stderr };
}

it('writes a dataset and prints one JSON object', async () => {
  const out = join(root, 'shapes');
  const args = ['dataset', 'shapes', '--out', out, '--size', '8', '--count', '2', '--styles', 'star, circle'];
  const { code, out: text } = await sumi(...args, '--json', '-q');
  expect(code).toBe(0);
  expect(JSON.parse(text)).toMatchObject({ name: 'shapes', dir: out, pictures: 4 });

  const again = await sumi(...args);
  expect(again.code).toBe(2);
  expect(again.err).toMatch(/^sumi: the dataset exists already — .*--force.*\n$/);
  const forced = await sumi(...args, '--force');
  expect(forced.code).toBe(0);
  expect(forced.out).toMatch(/4 pictures of 8×8[\s\S]*star: Shapes by Sumi, CC0 1\.0/);
  expect(forced.err).toMatch(/4\/4/);
});

it('refuses other names and numbers with code 2', async () => {
  for (const words of [['cats'], ['shapes', '--size', 'big'], ['shapes', '--count', '0'], []]) {
    const { code, err } = await sumi('dataset', ...words, '--out', join(root, 'never'));
    expect(code, words.join(' ')).toBe(2);
    expect(err).toMatch(/^sumi: .*\n$/);
  }
});
