/** Rendered data sets: exact masks, seeded, whole or not at all. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RENDERED, renderDataset } from '../../src/data/rendered/index.js';
import { drawPicture } from '../../src/data/rendered/make.js';
import { RENDERED_NAMES } from '../../src/data/rendered/names.js';
import { readClasses } from '../../src/segmentation/classes.js';
import { lintPairs } from '../../src/segmentation/lint.js';
import { findPairs } from '../../src/segmentation/pairs.js';
import { temporaryFolder, write } from './helpers.js';

const dir = await temporaryFolder();

it.each(RENDERED_NAMES)(
  '%s: masks have the colours of classes and nothing else, and every class',
  async (name) => {
    const kind = RENDERED[name];
    const colours = new Set(kind.classes.map(({ mask }) => Number.parseInt(mask.slice(1), 16)));
    const seen = new Set<number>();
    for (let i = 0; i < 8 * (kind.frames ?? 1); i += kind.frames ?? 1) {
      const { picture, mask, objects } = await drawPicture(kind, name, 3, i, 48);
      expect(objects).toBeGreaterThan(0);
      for (let p = 0; p < 48 * 48; p++)
        seen.add((mask.data[p * 3] << 16) | (mask.data[p * 3 + 1] << 8) | mask.data[p * 3 + 2]);
      expect(new Set(picture.data).size).toBeGreaterThan(30); // no plain areas
      expect((await drawPicture(kind, name, 3, i, 48)).picture.data).toEqual(picture.data);
    }
    expect(seen).toEqual(colours);
  },
);

it('writes what segment train reads, the same for any count, and overwrites nothing', async () => {
  const out = join(dir, 'moving');
  await renderDataset('moving', { out, size: 32, count: 10, seed: 5 });
  await renderDataset('moving', { out: join(dir, 'more'), size: 32, count: 12, seed: 5 });
  const files = await readdir(join(out, 'images'));
  expect(files.filter((f) => f.endsWith('.png'))).toHaveLength(10);
  for (const file of ['images/00009.png', 'masks/00009.png'])
    expect(await readFile(join(out, file))).toEqual(await readFile(join(dir, 'more', file)));
  const pairs = await findPairs(join(out, 'images'), undefined);
  expect(pairs.pairs).toHaveLength(10);
  expect(new Set(pairs.pairs.map(({ group }) => group)).size).toBe(2); // two clips of eight frames
  const report = await lintPairs(pairs, await readClasses(join(out, 'classes.json')));
  expect(report.findings).toEqual([]);
  await expect(renderDataset('moving', { out, size: 32, count: 1 })).rejects.toThrow(/exists already/);
  await write(join(dir, 'mine'), { 'a.txt': 'x' });
  await expect(renderDataset('cells', { out: join(dir, 'mine'), force: true })).rejects.toThrow(/not empty/);
  await expect(renderDataset('cells', { out: join(dir, 'n'), size: 5 })).rejects.toThrow(/size of 5/);
  await expect(renderDataset('nothing', { out: join(dir, 'n') })).rejects.toThrow(/no such dataset/);
});
