import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { asFloat, decodeRgb, encodePng, readRecipe, writePng } from '../../src/image/index.js';
import { addText, findText } from '../../src/image/pngText.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sumi-encode-'));
});
afterAll(() => rm(dir, { recursive: true }));

const picture = {
  data: Uint8Array.from({ length: 7 * 5 * 3 }, (_, i) => (i * 37) % 256),
  width: 7,
  height: 5,
};
const recipe = { model: 'characters', seed: 7, label: 'été 墨 😀', steps: 50, guidance: null };

describe('PNG with its recipe', () => {
  it('keeps every pixel and the recipe, from bytes and from floats', async () => {
    const path = join(dir, 'a', 'b', 'x.png');
    await writePng(path, asFloat(picture), recipe);
    expect(await decodeRgb(path)).toEqual(picture);
    expect(await readRecipe(path)).toEqual(recipe);
    expect(await readdir(join(dir, 'a', 'b'))).toEqual(['x.png']);
  });

  it('is the same bytes for the same pixels and recipe', async () => {
    const first = await encodePng(picture, recipe);
    expect(first.equals(await encodePng(asFloat(picture), { ...recipe }))).toBe(true);
    expect(first.equals(await encodePng(picture, { ...recipe, seed: 8 }))).toBe(false);
  });

  it('has no recipe when none was given', async () => {
    const path = join(dir, 'plain.png');
    await writePng(path, picture);
    expect(await readRecipe(path)).toBeNull();
  });

  it('reads text chunks as other programs write them', async () => {
    const png = await encodePng(picture);
    expect(findText(addText(png, 'other', 'x'), 'sumi')).toBeNull();
    const python = '/opt/peers/bin/python';
    const script = `import sys, zlib, struct
png = sys.stdin.buffer.read()
def chunk(kind, data): return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
kind = sys.argv[1].encode()
data = {b'tEXt': b'sumi\\0{"seed":3}', b'zTXt': b'sumi\\0\\0' + zlib.compress(b'{"seed":3}'), b'iTXt': b'sumi\\0\\1\\0en\\0\\0' + zlib.compress(b'{"seed":3}')}[kind]
sys.stdout.buffer.write(png[:33] + chunk(kind, data) + png[33:])`;
    for (const kind of ['tEXt', 'zTXt', 'iTXt']) {
      let out: Buffer;
      try {
        out = execFileSync(python, ['-c', script, kind], { input: png });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return; // no Python here
        throw error;
      }
      expect(findText(out, 'sumi'), kind).toBe('{"seed":3}');
      expect((await sharp(out).metadata()).width).toBe(7);
    }
  });

  it('says in one line why a recipe cannot be read', async () => {
    const png = await encodePng(picture, recipe);
    const flipped = Buffer.from(png);
    flipped[60] ^= 1;
    const cases: [string, Uint8Array | string, RegExp][] = [
      ['no.png', 'text', /not a PNG/],
      ['flip.png', flipped, /damaged/],
      ['cut.png', png.subarray(0, 50), /damaged/],
      ['list.png', addText(await encodePng(picture), 'sumi', '[1]'), /not readable/],
      ['half.png', addText(await encodePng(picture), 'sumi', '{"a":'), /not readable/],
    ];
    for (const [name, bytes, message] of cases) {
      await writeFile(join(dir, name), bytes);
      const error = await readRecipe(join(dir, name)).catch((e) => e);
      expect(error, name).toBeInstanceOf(InputError);
      expect(error.message).toMatch(message);
    }
    await expect(readRecipe(join(dir, 'missing.png'))).rejects.toThrow(InputError);
  });

  it('refuses data that is not of the shape it claims', async () => {
    await expect(encodePng({ ...picture, width: 8 })).rejects.toThrow(InputError);
  });
});
