import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { decodeFloat, decodeRgb, sizeOfPicture, toBytes, toFloat } from '../../src/image/index.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sumi-decode-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** Left half one colour, right half another. */
function halves(width: number, height: number, left: number[], right: number[]) {
  const channels = left.length as 1 | 3 | 4;
  const data = Buffer.alloc(width * height * channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        data[(y * width + x) * channels + c] = (x < width / 2 ? left : right)[c];
  return sharp(data, { raw: { width, height, channels } });
}

const RED = [255, 0, 0];
const BLUE = [0, 0, 255];
const at = (p: { data: Uint8Array; width: number }, x: number, y: number) => [
  ...p.data.subarray((y * p.width + x) * 3, (y * p.width + x) * 3 + 3),
];
const near = (got: number[], want: number[], tolerance: number) => {
  got.forEach((value, i) => {
    expect(Math.abs(value - want[i]), `${got} is not ${want}`).toBeLessThanOrEqual(tolerance);
  });
};

describe('decodeRgb', () => {
  it('turns a picture as its EXIF orientation says', async () => {
    const path = join(dir, 'turned.jpg');
    // Orientation 6: turn by 90° clockwise to see it, so that left comes to the top.
    await halves(32, 16, RED, BLUE).jpeg({ quality: 95 }).withMetadata({ orientation: 6 }).toFile(path);
    const picture = await decodeRgb(path);
    expect([picture.width, picture.height]).toEqual([16, 32]);
    near(at(picture, 8, 4), RED, 12);
    near(at(picture, 8, 28), BLUE, 12);
    expect(await sizeOfPicture(path)).toEqual({ width: 16, height: 32 });
    const square = await decodeRgb(path, { size: 8, fit: 'stretch' });
    near(at(square, 4, 0), RED, 20);
    near(at(square, 4, 7), BLUE, 20);
  });

  it('flattens transparency onto white, or the colour given', async () => {
    const path = join(dir, 'alpha.png');
    await halves(8, 8, [255, 0, 0, 255], [9, 9, 9, 0]).png().toFile(path);
    const onWhite = await decodeRgb(path);
    expect(at(onWhite, 0, 0)).toEqual(RED);
    expect(at(onWhite, 7, 0)).toEqual([255, 255, 255]);
    expect(at(await decodeRgb(path, { background: '#00ff00' }), 7, 0)).toEqual([0, 255, 0]);
    // The hidden colour of transparent pixels must not bleed in when the picture is made smaller.
    const small = at(await decodeRgb(path, { size: 2 }), 1, 0);
    near(small, [255, 255, 255], 30);
  });

  it('brings grey, 16-bit and CMYK to RGB bytes', async () => {
    const grey = join(dir, 'grey.png');
    await halves(8, 8, [40], [200]).toColourspace('b-w').png().toFile(grey);
    expect((await sharp(grey).metadata()).channels).toBe(1);
    const g = await decodeRgb(grey);
    expect([at(g, 0, 0), at(g, 7, 7)]).toEqual([
      [40, 40, 40],
      [200, 200, 200],
    ]);

    const deep = join(dir, 'deep.png');
    await halves(8, 8, [64, 128, 255], [0, 10, 20]).toColourspace('rgb16').png().toFile(deep);
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    near(at(await decodeRgb(deep), 0, 0), [64, 128, 255], 1);

    const deepGrey = join(dir, 'deepgrey.png');
    await halves(8, 8, [64], [250]).toColourspace('grey16').png().toFile(deepGrey);
    expect(await sharp(deepGrey).metadata()).toMatchObject({ depth: 'ushort', channels: 1 });
    near(at(await decodeRgb(deepGrey), 0, 0), [64, 64, 64], 2);

    const cmyk = join(dir, 'cmyk.jpg');
    await halves(16, 16, [250, 250, 250], [20, 20, 20]).toColourspace('cmyk').jpeg().toFile(cmyk);
    expect((await sharp(cmyk).metadata()).space).toBe('cmyk');
    const fromCmyk = await decodeRgb(cmyk);
    expect(fromCmyk.data.length).toBe(16 * 16 * 3);
    near(at(fromCmyk, 2, 2), [250, 250, 250], 15);
    expect(Math.max(...at(fromCmyk, 14, 14))).toBeLessThan(80);
  });

  it('crops, pads and stretches', async () => {
    const path = join(dir, 'wide.png');
    // 30 × 10: red, then blue, then red again
    const data = Buffer.alloc(30 * 10 * 3);
    for (let i = 0; i < 300; i++) data.set(i % 30 >= 10 && i % 30 < 20 ? BLUE : RED, i * 3);
    await sharp(data, { raw: { width: 30, height: 10, channels: 3 } })
      .png()
      .toFile(path);
    const crop = await decodeRgb(path, { size: 10 });
    expect([at(crop, 0, 5), at(crop, 9, 5)]).toEqual([BLUE, BLUE]);
    const pad = await decodeRgb(path, { size: 30, fit: 'pad', background: 'black' });
    expect([at(pad, 15, 0), at(pad, 15, 15), at(pad, 2, 15), at(pad, 15, 29)]).toEqual([
      [0, 0, 0],
      BLUE,
      RED,
      [0, 0, 0],
    ]);
    const stretch = await decodeRgb(path, { size: { width: 30, height: 20 }, fit: 'stretch' });
    expect([at(stretch, 2, 0), at(stretch, 15, 19)]).toEqual([RED, BLUE]);
  });

  it('enlarges a picture of one pixel', async () => {
    const path = join(dir, 'one.png');
    await sharp({ create: { width: 1, height: 1, channels: 3, background: '#123456' } })
      .png()
      .toFile(path);
    const picture = await decodeRgb(path, { size: 4 });
    expect([...picture.data]).toEqual(Array.from({ length: 16 }, () => [0x12, 0x34, 0x56]).flat());
  });

  it('sees the new content of a file that was written again', async () => {
    const path = join(dir, 'again.png');
    await halves(8, 8, RED, RED).png().toFile(path);
    await decodeRgb(path);
    await halves(8, 8, BLUE, BLUE).png().toFile(path);
    expect(at(await decodeRgb(path), 0, 0)).toEqual(BLUE);
  });

  it('says in one line what is wrong with a file', async () => {
    const good = await halves(64, 64, RED, BLUE).png().toBuffer();
    const noise = Buffer.from(Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251));
    const jpeg = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .jpeg()
      .toBuffer();
    const bad: [string, Uint8Array | string, RegExp][] = [
      ['cut.png', good.subarray(0, good.length - 40), /damaged/],
      ['cut.jpg', jpeg.subarray(0, jpeg.length / 2), /damaged/],
      ['text.png', 'this is no picture', /not a picture/],
      ['empty.png', '', /empty/],
    ];
    for (const [name, bytes, message] of bad) {
      const path = join(dir, name);
      await writeFile(path, bytes);
      const error = await decodeRgb(path, { size: 8 }).catch((e) => e);
      expect(error, name).toBeInstanceOf(InputError);
      expect(error.message).toMatch(message);
      expect(error.message).toContain(path);
      expect(error.message).not.toContain('\n');
    }
    await expect(decodeRgb(join(dir, 'missing.png'))).rejects.toThrow(/no such file.*missing\.png/);
    await expect(decodeRgb(dir)).rejects.toThrow(InputError);
    await expect(decodeRgb(Buffer.from(good), { maxPixels: 100 })).rejects.toThrow(/too many pixels/);
  });

  it('refuses options that make no sense', async () => {
    const one = await halves(2, 2, RED, RED).png().toBuffer();
    await expect(decodeRgb(one, { size: 0 })).rejects.toThrow(InputError);
    await expect(decodeRgb(one, { size: 2.5 })).rejects.toThrow(InputError);
    await expect(decodeRgb(one, { background: 'nocolour' })).rejects.toThrow(/no such colour: nocolour/);
    await expect(decodeRgb(one, { fit: 'cover' as 'crop' })).rejects.toThrow(/crop, pad, stretch/);
  });
});

describe('pixels as numbers', () => {
  it('goes from bytes to [-1, 1] and back without loss', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const floats = toFloat(bytes);
    expect([floats[0], floats[255]]).toEqual([-1, 1]);
    expect(toBytes(floats)).toEqual(bytes);
    expect([...toBytes(Float32Array.of(-7, 7, Number.NaN, Number.POSITIVE_INFINITY))]).toEqual([
      0, 255, 0, 255,
    ]);
  });

  it('decodes to floats', async () => {
    const picture = await decodeFloat(await halves(2, 1, RED, BLUE).png().toBuffer());
    expect([...picture.data]).toEqual([1, -1, -1, -1, -1, 1]);
  });
});
