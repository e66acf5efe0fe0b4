import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { hexOf, readPalette } from '../../src/image/colours.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sumi-colours-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

it('reads colours as they are written', async () => {
  expect(await readPalette('#3b6fd4, #Fc0')).toEqual([
    [59, 111, 212],
    [255, 204, 0],
  ]);
  expect((await readPalette('#3b6fd4,#ffcc00')).map(hexOf)).toEqual(['#3b6fd4', '#ffcc00']);
});

it('takes the main colours of a picture', async () => {
  const file = join(dir, 'flag.png');
  const stripes = ['#c8102e', '#ffffff', '#003da5'];
  const svg = stripes.map((fill, i) => `<rect x="${i * 40}" width="40" height="80" fill="${fill}"/>`);
  await sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80">${svg}</svg>`))
    .png()
    .toFile(file);
  const found = await readPalette(file);
  expect(found.length).toBeLessThanOrEqual(6);
  const near = (hex: string) =>
    found.some((colour) =>
      colour.every((x, c) => Math.abs(x - Number.parseInt(hex.slice(1 + 2 * c, 3 + 2 * c), 16)) <= 4),
    );
  for (const stripe of stripes) expect(near(stripe)).toBe(true);
});

it.each([
  ['#ff0000', /one colour is no palette/],
  ['#fff,#ffffff', /one colour is no palette/],
  ['#ff0000,#00ff0', /'#00ff0' is no colour/],
  ['#ff0000,blue', /'blue' is no colour/],
  ['no-such-file.png', /no-such-file\.png/],
])('refuses %s', async (source, message) => {
  const reading = readPalette(source);
  await expect(reading).rejects.toThrow(InputError);
  await expect(reading).rejects.toThrow(message);
});

it('refuses a picture of one colour', async () => {
  const file = join(dir, 'plain.png');
  await sharp({ create: { width: 8, height: 8, channels: 3, background: '#336699' } })
    .png()
    .toFile(file);
  await expect(readPalette(file)).rejects.toThrow(/one colour is no palette/);
});
