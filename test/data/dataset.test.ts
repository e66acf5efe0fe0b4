import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { floatPictures, openDataset, pictureAt } from '../../src/data/index.js';
import { InputError } from '../../src/errors.js';
import { png, temporaryFolder, write } from './helpers.js';

let root: string;
beforeAll(async () => {
  root = await temporaryFolder();
});

const first = (picture: { data: Uint8Array }) => [...picture.data.subarray(0, 3)];

async function mixed(name: string) {
  const good = await png('#00ff00', 40, 20);
  return write(join(root, name), {
    'a/red.png': await png('#ff0000'),
    'b/cut.png': good.subarray(0, good.length - 30),
    'b/green.png': good,
    'b/text.png': 'no picture at all',
    'c/only-broken.jpg': '',
    'unlabelled.jpg': await sharp(await png('#0000ff'))
      .jpeg({ quality: 100 })
      .toBuffer(),
  });
}

describe('openDataset', () => {
  it('decodes what it can and names what it cannot', async () => {
    const dir = await mixed('mixed');
    const progress: [number, number][] = [];
    const data = await openDataset(dir, {
      size: 4,
      onProgress: (done, total) => progress.push([done, total]),
    });
    expect(data.names).toEqual(['a/red.png', 'b/green.png', 'unlabelled.jpg']);
    expect(data.labels).toEqual(['a', 'b']);
    expect([...data.labelIds]).toEqual([0, 1, -1]);
    expect(data.count).toBe(3);
    expect(data.pixels.length).toBe(3 * 4 * 4 * 3);
    expect(first(pictureAt(data, 0))).toEqual([255, 0, 0]);
    expect(first(pictureAt(data, 1))).toEqual([0, 255, 0]);
    expect(pictureAt(data, 2).data[2]).toBeGreaterThan(250);
    expect(data.skipped.map(({ name }) => name)).toEqual(['b/cut.png', 'b/text.png', 'c/only-broken.jpg']);
    expect(data.skipped[0].reason).toMatch(/damaged.*cut\.png/);
    expect(progress.at(-1)).toEqual([6, 6]);
    expect([...floatPictures(data, [1]).subarray(0, 3)]).toEqual([-1, 1, -1]);
    expect(() => pictureAt(data, 3)).toThrow(InputError);
  });

  it('stops at a damaged picture when strict, and where nothing can be read', async () => {
    const dir = await mixed('strict');
    await expect(openDataset(dir, { size: 4, strict: true })).rejects.toThrow(InputError);
    const broken = await write(join(root, 'broken'), { 'a.png': 'x', 'b.png': 'y' });
    await expect(openDataset(broken)).rejects.toThrow(/none of the 2 pictures.*a\.png/);
  });

  it('has a fingerprint of the content, not of the place or the time', async () => {
    const files = { 'a/1.png': await png('#102030'), 'b/2.png': await png('#405060') };
    const one = await write(join(root, 'one'), files);
    const two = await write(join(root, 'two'), files);
    await utimes(join(two, 'a/1.png'), 1, 1);
    const { fingerprint } = await openDataset(one, { size: 4 });
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect((await openDataset(two, { size: 4 })).fingerprint).toBe(fingerprint);
    expect((await openDataset(one, { size: 5 })).fingerprint).not.toBe(fingerprint);
    await write(two, { 'metadata.jsonl': '{"file_name":"a/1.png","label":"b"}\n{"file_name":"b/2.png"}' });
    expect((await openDataset(two, { size: 4 })).fingerprint).not.toBe(fingerprint);
    await write(one, { 'a/1.png': await png('#102031') });
    expect((await openDataset(one, { size: 4 })).fingerprint).not.toBe(fingerprint);
  });

  it('keeps a copy that is used only while it is right', async () => {
    const dir = await mixed('cached');
    const cache = join(root, 'copies');
    let decoded = 0;
    const options = { size: 4, cache, onProgress: () => decoded++ };
    const before = await openDataset(dir, options);
    expect(decoded).toBe(6);
    expect(await openDataset(dir, options)).toEqual(before);
    expect(decoded).toBe(6);
    await expect(openDataset(dir, { ...options, strict: true })).rejects.toThrow(/cut\.png/);

    const [copy] = await readdir(cache);
    const bytes = await readFile(join(cache, copy));
    bytes[bytes.length - 1] ^= 1;
    await writeFile(join(cache, copy), bytes);
    expect(await openDataset(dir, options)).toEqual(before);
    expect(decoded).toBe(12);

    await write(dir, { 'a/red.png': await png('#010203', 7) });
    expect(first(pictureAt(await openDataset(dir, options), 0))).toEqual([1, 2, 3]);
  });

  it('refuses options that make no sense before it looks at pictures', async () => {
    const dir = await mixed('options');
    await expect(openDataset(dir, { background: 'nocolour' })).rejects.toThrow(/no such colour: nocolour/);
    await expect(openDataset(dir, { fit: 'cover' as 'crop' })).rejects.toThrow(/crop, pad, stretch/);
  });

  it('refuses sizes that are impossible or would not fit in memory', async () => {
    const dir = await write(join(root, 'sizes'), { 'a.png': await png('#fff') });
    for (const size of [0, -1, 1.5, Number.NaN, 100_000])
      await expect(openDataset(dir, { size }), String(size)).rejects.toThrow(InputError);
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}.png`, 'x']));
    await expect(openDataset(await write(join(root, 'many'), many), { size: 4096 })).rejects.toThrow(
      /GiB of memory.*smaller size/,
    );
  });

  it('stops when asked', async () => {
    const dir = await mixed('stopped');
    const controller = new AbortController();
    const opening = openDataset(dir, {
      size: 4,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(opening).rejects.toThrow(/abort/i);
  });
});
