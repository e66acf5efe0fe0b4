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

it('moving: says where each thing is, in one order through a clip', async () => {
  const kind = RENDERED.moving;
  for (let clip = 0; clip < 4; clip++) {
    const frames = await Promise.all(
      [0, 1, 7].map((frame) => drawPicture(kind, 'moving', 6, clip * 8 + frame, 96)),
    );
    for (const { movers, mask, objects } of frames) {
      expect(movers).toHaveLength(objects);
      const { class: name, x, y } = movers?.at(-1) ?? { class: '', x: 0, y: 0 }; // the last lies on top
      const at = (Math.floor(y) * 96 + Math.floor(x)) * 3;
      expect([...mask.data.subarray(at, at + 3)]).toEqual(name === 'ball' ? [255, 0, 0] : [0, 0, 255]);
    }
    const [first, second, last] = frames.map(({ movers }) => movers ?? []);
    first.forEach((mover, i) => {
      expect(second[i].class).toBe(mover.class);
      // At most 6 units in each direction.
      expect(Math.hypot(second[i].x - mover.x, second[i].y - mover.y)).toBeLessThan(6 * Math.SQRT2);
    });
    expect(last).not.toEqual(first);
  }
});

it('aerial: a later frame shows the same place with a building less', async () => {
  const kind = { ...RENDERED.aerial, frames: 3 };
  for (let place = 0; place < 4; place++) {
    const [whole, less, least] = await Promise.all(
      [0, 1, 2].map((frame) => drawPicture(kind, 'aerial', 6, place * 3 + frame, 96)),
    );
    expect([less.objects, least.objects]).toEqual([whole.objects - 1, whole.objects - 2]);
    let gone = 0;
    less.mask.data.forEach((value, i) => {
      if (value === whole.mask.data[i]) return;
      gone++;
      expect([whole.mask.data[i], value]).toEqual([255, 0]); // the red of a building, now ground
      expect(least.mask.data[i]).toBe(0);
    });
    expect(gone).toBeGreaterThan(0);
    expect(gone).toBeLessThan(0.04 * 96 * 96);
  }
});
