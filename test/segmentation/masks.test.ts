/** Masks of every kind of file, the classes that their colours stand for, and what is said of bad ones. */
import { join } from 'node:path';
import sharp, { type PngOptions } from 'sharp';
import { describe, expect, it } from 'vitest';
import { deriveClasses, hex, parseClasses, readClasses } from '../../src/segmentation/classes.js';
import { lintLines, lintPairs } from '../../src/segmentation/lint.js';
import { countColours, encodeMask, labelMap, readMaskColours } from '../../src/segmentation/masks.js';
import { findPairs, groupOf } from '../../src/segmentation/pairs.js';
import { temporaryFolder, write } from '../data/helpers.js';

const dir = await temporaryFolder();

/** A picture file of colours by a function of the pixel. */
async function file(
  size: [number, number],
  colour: (x: number, y: number) => number,
  options: PngOptions = {},
) {
  const [width, height] = size;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const c = colour(i % width, Math.floor(i / width));
    data.set([c >> 16, (c >> 8) & 255, c & 255], i * 3);
  }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png(options)
    .toBuffer();
}

const halves = (left: number, right: number) => (x: number) => (x < 4 ? left : right);

describe('mask files', () => {
  it('are read by colour, palette and RGB alike, and written so', async () => {
    const rgb = await file([8, 4], halves(0xff0000, 0x0000ff));
    const palette = await file([8, 4], halves(0xff0000, 0x0000ff), { palette: true });
    await write(dir, { 'rgb.png': rgb, 'palette.png': palette });
    for (const name of ['rgb.png', 'palette.png']) {
      const counts = countColours(await readMaskColours(join(dir, name)));
      expect(counts).toEqual(
        new Map([
          [0xff0000, 16],
          [0x0000ff, 16],
        ]),
      );
    }
    const table = await parseClasses(
      {
        classes: [
          { name: 'a', mask: '#ff0000' },
          { name: 'b', mask: 'blue' },
        ],
      },
      'x',
    );
    const labels = labelMap(await readMaskColours(join(dir, 'rgb.png')), table);
    expect([labels.data[0], labels.data[7]]).toEqual([0, 1]);
    await write(dir, { 'again.png': await encodeMask(labels, table) });
    expect((await readMaskColours(join(dir, 'again.png'))).data).toEqual(
      (await readMaskColours(join(dir, 'rgb.png'))).data,
    );
  });

  it('in grey hold numbers or levels', async () => {
    const grey = await sharp(Uint8Array.of(0, 1, 2, 2), { raw: { width: 4, height: 1, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    await write(dir, { 'grey.png': grey });
    const table = deriveClasses(countColours(await readMaskColours(join(dir, 'grey.png'))), 'x');
    expect(table.classes.map((c) => c.name)).toEqual(['background', 'class-1', 'class-2']);
    expect([...labelMap(await readMaskColours(join(dir, 'grey.png')), table).data]).toEqual([0, 1, 2, 2]);
  });

  it('of 16 bits are refused', async () => {
    const deep = await sharp(new Uint16Array(16), { raw: { width: 4, height: 4, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer();
    await write(dir, { 'deep.png': deep });
    await expect(readMaskColours(join(dir, 'deep.png'))).rejects.toThrow(/16 bits a channel/);
  });
});

describe('classes', () => {
  it('are found by colours, blurred edges aside', () => {
    const counts = new Map([
      [0x000000, 9000],
      [0xffffff, 4000],
      [0x808080, 60],
      [0x404040, 40],
    ]);
    const { classes } = deriveClasses(counts, 'x');
    expect(classes.map(({ name, mask }) => [name, hex(mask)])).toEqual([
      ['background', '#000000'],
      ['object', '#ffffff'],
    ]);
  });

  it.each([
    [{ classes: [{ name: 'a', mask: 0 }] }, /classes/],
    [
      {
        classes: [
          { name: 'a', mask: 0 },
          { name: 'b', mask: '#000' },
        ],
      },
      /stands for two things/,
    ],
    [
      {
        classes: [
          { name: 'a', mask: 0 },
          { name: 'a', mask: 1 },
        ],
      },
      /two classes are called a/,
    ],
    [
      {
        classes: [
          { name: 'a', mask: 0 },
          { name: 'b', mask: 'nonsense' },
        ],
      },
      /no such colour/,
    ],
    [{ clases: [] }, /clases|classes/],
  ])('%j is refused', async (content, message) => {
    await expect(parseClasses(content, 'classes.json')).rejects.toThrow(message);
  });

  it('come from a file that is JSON', async () => {
    await write(dir, { 'bad.json': '{' });
    await expect(readClasses(join(dir, 'bad.json'))).rejects.toThrow(/not JSON/);
  });
});

describe('pairs', () => {
  it('go by stems, with what is left over', async () => {
    const p = await file([8, 8], () => 0x112233);
    const at = join(dir, 'pairs');
    await write(at, {
      'i/a.png': p,
      'i/b.png': p,
      'i/c.png': p,
      'm/a_mask.png': p,
      'm/b.png': p,
      'm/z.png': p,
    });
    const { pairs, unmasked, unused } = await findPairs(join(at, 'i'), join(at, 'm'));
    expect(pairs.map((pair) => pair.name)).toEqual(['a.png', 'b.png']);
    expect([unmasked, unused]).toEqual([['c.png'], ['z.png']]);
    await expect(findPairs(join(at, 'i'), undefined)).rejects.toThrow(/no masks/);
  });

  it('make groups by folder or prefix', () => {
    expect(groupOf('p1/slide_03.png', 'folder')).toBe('p1');
    expect(groupOf('p1/slide_03.png', 'prefix')).toBe('p1/slide');
    expect(groupOf('p1/slide_03.png', 'none')).toBe('p1/slide_03.png');
  });
});

describe('lint', () => {
  it('says everything that is wrong, one line each with what to do', async () => {
    const at = join(dir, 'lint');
    const picture = await file([8, 8], (x, y) => x * 1000 + y);
    const good = await file([8, 8], halves(0x000000, 0xffffff));
    await write(at, {
      'i/good.png': picture,
      'm/good.png': good,
      'i/size.png': picture,
      'm/size.png': await file([6, 8], halves(0, 0xffffff)),
      'i/edges.png': picture,
      'm/edges.png': await file([8, 8], (x) => (x < 4 ? 0 : x === 4 ? 0x808080 : 0xffffff)),
      'i/unknown.png': picture,
      'm/unknown.png': await file([8, 8], halves(0, 0x00ff00)),
      'i/alone.png': picture,
      'm/left.png': good,
      'i/broken.png': picture,
      'm/broken.png': Buffer.from('no picture'),
    });
    const table = await parseClasses(
      {
        classes: [
          { name: 'ground', mask: 0 },
          { name: 'thing', mask: '#fff' },
          { name: 'rare', mask: '#ff0000' },
        ],
      },
      'x',
    );
    const report = await lintPairs(await findPairs(join(at, 'i'), join(at, 'm')), table);
    const lines = lintLines(report);
    const line = (text: RegExp) => lines.filter((l) => text.test(l));
    expect(line(/^error: the mask is 6×8, the picture 8×8 — size.png — make them equal/)).toHaveLength(1);
    expect(line(/^error: #00ff00 is no class’s colour — unknown.png/)).toHaveLength(1);
    expect(line(/^error: .*not a picture.* — broken.png/)).toHaveLength(1);
    expect(line(/^warning: blurred edges.* — edges.png/)).toHaveLength(1);
    expect(line(/^warning: no pixel is rare/)).toHaveLength(1);
    expect(line(/^warning: no mask.* — alone.png/)).toHaveLength(1);
    expect(line(/^warning: no picture.* — left.png/)).toHaveLength(1);
    expect(report.findings).toHaveLength(7);
    expect(report.classes[1].pictures).toBe(2); // the blurred one counts; green is nearer to black
  });

  it('has nothing to say of sound masks', async () => {
    const at = join(dir, 'sound');
    const picture = await file([8, 8], (x) => x);
    await write(at, { 'i/a.png': picture, 'm/a.png': await file([8, 8], halves(0, 0xffffff)) });
    const report = await lintPairs(await findPairs(join(at, 'i'), join(at, 'm')), null);
    expect(report.findings).toEqual([]);
    expect(report.classes.map(({ share }) => share)).toEqual([0.5, 0.5]);
  });
});
