import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { contactSheet, maskStatistics, readMask, writeAnimation } from '../../src/image/index.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sumi-sheets-'));
});
afterAll(() => rm(dir, { recursive: true }));

const plain = (value: number, width = 4, height = 3) => ({
  data: new Uint8Array(width * height * 3).fill(value),
  width,
  height,
});

describe('contactSheet', () => {
  it('puts every picture in its place', async () => {
    const sheet = await contactSheet([plain(10), plain(20), plain(30)], {
      columns: 2,
      gap: 1,
      background: '#0000ff',
    });
    expect([sheet.width, sheet.height]).toEqual([11, 9]);
    const at = (x: number, y: number) => [...sheet.data.subarray((y * 11 + x) * 3, (y * 11 + x) * 3 + 3)];
    expect(at(0, 0)).toEqual([0, 0, 255]);
    expect(at(1, 1)).toEqual([10, 10, 10]);
    expect(at(4, 3)).toEqual([10, 10, 10]);
    expect(at(5, 3)).toEqual([0, 0, 255]);
    expect(at(6, 1)).toEqual([20, 20, 20]);
    expect(at(1, 5)).toEqual([30, 30, 30]);
    expect(at(6, 5)).toEqual([0, 0, 255]);
  });

  it('writes labels below and leaves the pictures alone', async () => {
    const pictures = [plain(10, 64, 64), plain(20, 64, 64)];
    const bare = await contactSheet(pictures, { gap: 0 });
    const labelled = await contactSheet(pictures, {
      gap: 0,
      labels: ['<a & "b">', 'a label much longer than the picture is wide'],
    });
    expect(labelled.width).toBe(128);
    expect(labelled.height).toBeGreaterThan(64);
    expect(labelled.data.subarray(0, 64 * 128 * 3)).toEqual(bare.data);
    const below = labelled.data.subarray(64 * 128 * 3);
    expect(below.some((v) => v < 128)).toBe(true);
  });

  it('enlarges by whole pixels', async () => {
    const data = Uint8Array.from([1, 2, 3, 4, 5, 6]);
    const sheet = await contactSheet([{ data, width: 2, height: 1 }], { gap: 0, zoom: 2 });
    expect([...sheet.data]).toEqual([1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]);
  });

  it('refuses what cannot be laid out', async () => {
    await expect(contactSheet([])).rejects.toThrow(InputError);
    await expect(contactSheet([plain(1), plain(1, 5)])).rejects.toThrow(/one size/);
    await expect(contactSheet([plain(1)], { columns: 0 })).rejects.toThrow(/columns/);
  });
});

describe('writeAnimation', () => {
  it.each(['webp', 'gif'])('writes frames and their times as %s', async (extension) => {
    const path = join(dir, `x.${extension}`);
    await writeAnimation(path, [plain(0, 16, 16), plain(120, 16, 16), plain(240, 16, 16)], {
      delay: 50,
      hold: 900,
    });
    const metadata = await sharp(path, { animated: true }).metadata();
    expect(metadata).toMatchObject({ pages: 3, pageHeight: 16, width: 16, loop: 0 });
    expect(metadata.delay).toEqual([50, 50, 900]);
    const last = await sharp(path, { page: 2 }).removeAlpha().raw().toBuffer();
    expect(Math.abs(last[0] - 240)).toBeLessThanOrEqual(extension === 'webp' ? 0 : 8);
  });

  it('refuses other formats, no frames, and frames of different sizes', async () => {
    await expect(writeAnimation(join(dir, 'x.mp4'), [plain(1)])).rejects.toThrow(/\.webp or \.gif/);
    await expect(writeAnimation(join(dir, 'x.gif'), [])).rejects.toThrow(InputError);
    await expect(writeAnimation(join(dir, 'x.gif'), [plain(1), plain(1, 9)])).rejects.toThrow(InputError);
    await expect(writeAnimation(join(dir, 'x.gif'), [plain(1)], { delay: -1 })).rejects.toThrow(/delay/);
  });
});

describe('readMask', () => {
  async function maskFile(name: string, width: number, height: number, pixel: (x: number) => number[]) {
    const channels = pixel(0).length as 1 | 3 | 4;
    const data = Buffer.alloc(width * height * channels);
    for (let i = 0; i < width * height; i++) data.set(pixel(i % width), i * channels);
    const path = join(dir, name);
    await sharp(data, { raw: { width, height, channels } }).png().toFile(path);
    return path;
  }

  it('paints white, keeps black, and softens grey', async () => {
    const path = await maskFile('grey.png', 4, 2, (x) => [[0], [128], [255], [255]][x]);
    const mask = await readMask(path);
    expect([mask.width, mask.height, mask.allWhite, mask.allBlack, mask.warning]).toEqual([
      4,
      2,
      false,
      false,
      null,
    ]);
    expect(mask.data[0]).toBe(0);
    expect(mask.data[1]).toBeCloseTo(128 / 255, 5);
    expect(mask.data[3]).toBe(1);
    expect(mask.painted).toBeCloseTo((128 / 255 + 2) / 4, 5);
  });

  it('keeps what is transparent', async () => {
    const path = await maskFile('alpha.png', 2, 2, (x) => [255, 255, 255, x === 0 ? 0 : 255]);
    expect([...(await readMask(path)).data]).toEqual([0, 1, 0, 1]);
  });

  it('resizes without leaving [0, 1], pads with what is kept', async () => {
    const path = await maskFile('white.png', 8, 4, () => [255]);
    const mask = await readMask(path, { size: 8, fit: 'pad' });
    expect(mask.data[0]).toBe(0);
    expect(mask.data[4 * 8 + 4]).toBe(1);
    expect(mask.painted).toBeCloseTo(0.5, 5);
    const cropped = await readMask(path, { size: 4 });
    expect(cropped.allWhite).toBe(true);
  });

  it('warns of another size and refuses other proportions', async () => {
    const path = await maskFile('half.png', 10, 5, () => [0]);
    const mask = await readMask(path, { picture: { width: 21, height: 10 }, size: 4 });
    expect(mask.warning).toMatch(/10×5.*21×10/);
    expect(mask.allBlack).toBe(true);
    await expect(readMask(path, { picture: { width: 20, height: 20 } })).rejects.toThrow(
      /10×5.*20×20.*half\.png/,
    );
    await expect(readMask(join(dir, 'none.png'))).rejects.toThrow(InputError);
  });

  it('counts', () => {
    expect(maskStatistics(Float32Array.of(1, 1))).toEqual({ painted: 1, allWhite: true, allBlack: false });
    expect(maskStatistics(Float32Array.of(0, 0))).toEqual({ painted: 0, allWhite: false, allBlack: true });
  });
});
