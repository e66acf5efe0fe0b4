import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { COLLECTION_NAMES, findCollection, makeStyleDataset, openDataset } from '../../src/data/index.js';
import { loadEmoji } from '../../src/data/styles/emoji.js';
import { rasterize } from '../../src/data/styles/make.js';
import { InputError } from '../../src/errors.js';
import { temporaryFolder, write } from './helpers.js';

let root: string;
beforeAll(async () => {
  root = await temporaryFolder();
});

describe('makeStyleDataset', () => {
  it('writes a dataset that opens with its labels and names its sources', async () => {
    const out = join(root, 'shapes');
    const made = await makeStyleDataset('shapes', { out, size: 16, count: 5 });
    expect(made).toMatchObject({ name: 'shapes', dir: out, size: 16, pictures: 20 });
    expect((await readdir(out)).sort()).toEqual(
      ['circle', 'licences.json', 'metadata.jsonl', 'square', 'star', 'triangle'].sort(),
    );
    const data = await openDataset(out, { size: 16, strict: true });
    expect(data.labels).toEqual(['circle', 'square', 'star', 'triangle']);
    expect([...data.labelIds].filter((id) => id === 2)).toHaveLength(5);
    expect(data.unsupported).toBe(0);
    const licences = JSON.parse(await readFile(join(out, 'licences.json'), 'utf8'));
    expect(licences.styles[0]).toMatchObject({ label: 'circle', licence: { name: 'CC0 1.0' } });
    expect((await readdir(root)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('makes the same pictures of the same seed, whatever the count, and no two alike', async () => {
    const make = (name: string, seed: number, count: number) =>
      makeStyleDataset('shapes', { out: join(root, name), size: 16, count, seed, styles: ['star'] });
    await make('one', 1, 30);
    await make('again', 1, 3);
    await make('two', 2, 3);
    const bytes = (name: string, i: number) => readFile(join(root, name, 'star', `0000${i}.png`));
    expect((await bytes('one', 2)).equals(await bytes('again', 2))).toBe(true);
    expect((await bytes('one', 2)).equals(await bytes('two', 2))).toBe(false);
    const files = await readdir(join(root, 'one', 'star'));
    const contents = await Promise.all(files.map((f) => readFile(join(root, 'one', 'star', f), 'base64')));
    expect(new Set(contents).size).toBe(30);
  });

  it('replaces only what it made itself, and only when told to', async () => {
    const out = join(root, 'kept');
    const make = (force: boolean, count = 1) =>
      makeStyleDataset('shapes', { out, size: 8, count, styles: ['circle'], force });
    await write(out, { 'precious.txt': 'mine' });
    await expect(make(true)).rejects.toThrow(/not empty/);
    expect(await readdir(out)).toEqual(['precious.txt']);
    const file = await write(root, { file: 'x' });
    await expect(makeStyleDataset('shapes', { out: join(file, 'file') })).rejects.toThrow(
      /file is in the way/,
    );

    const ours = join(root, 'ours');
    await makeStyleDataset('shapes', { out: ours, size: 8, count: 3, styles: ['circle'] });
    const again = { out: ours, size: 8, count: 1, styles: ['square'] };
    await expect(makeStyleDataset('shapes', again)).rejects.toThrow(/--force/);
    await makeStyleDataset('shapes', { ...again, force: true });
    expect((await readdir(ours)).sort()).toEqual(['licences.json', 'metadata.jsonl', 'square']);
  });

  it('leaves nothing behind when it is stopped', async () => {
    const controller = new AbortController();
    const making = makeStyleDataset('shapes', {
      out: join(root, 'stopped'),
      size: 8,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(making).rejects.toThrow(/abort/i);
    expect((await readdir(root)).filter((name) => name.includes('stopped'))).toEqual([]);
  });

  it('refuses unknown names, styles and impossible numbers', async () => {
    const out = join(root, 'never');
    await expect(makeStyleDataset('cats', { out })).rejects.toThrow(
      /choose one of characters, emoji, shapes/,
    );
    await expect(makeStyleDataset('shapes', { out, styles: ['hexagon'] })).rejects.toThrow(/hexagon/);
    for (const bad of [{ size: 4 }, { size: 16.5 }, { count: 0 }, { seed: -1 }])
      await expect(makeStyleDataset('shapes', { out, ...bad })).rejects.toThrow(InputError);
    await expect(readdir(out)).rejects.toThrow();
  });
});

describe('styles', () => {
  it('knows each collection by its name', () => {
    for (const name of COLLECTION_NAMES) expect(findCollection(name).name).toBe(name);
  });

  it('draws characters of openly licensed styles, told apart by their label', async () => {
    const { labels } = findCollection('characters');
    expect(labels.length).toBeGreaterThanOrEqual(6);
    const sources = await findCollection('characters').load(labels);
    expect(sources.map(({ label }) => label)).toEqual(labels);
    for (const { label, about, svg } of sources) {
      expect(about.licence.name, label).toMatch(/^(CC0 1\.0|CC BY 4\.0)$/);
      expect(about.creator, label).not.toBe('unknown');
      expect(about.package?.version, label).toMatch(/^9\./);
      expect(svg(0, 1)).toBe(svg(0, 1));
      expect(svg(0, 1)).not.toBe(svg(1, 1));
      const pixels = await rasterize(svg(0, 0), 16);
      expect(pixels.length).toBe(16 * 16 * 3);
      expect(new Set(pixels).size, `${label} is not blank`).toBeGreaterThan(8);
    }
  });

  it('reads emoji sets where they are installed, each emoji once before any comes again', async () => {
    const icon = (fill: string) => ({ body: `<rect width="10" height="10" fill="${fill}"/>` });
    const set = 'node_modules/@iconify-json/fxemoji';
    const from = await write(join(root, 'project'), {
      [`${set}/package.json`]: '{"name":"@iconify-json/fxemoji","version":"1.2.3"}',
      [`${set}/info.json`]: '{"name":"Test","author":{"name":"A"},"license":{"title":"MIT","url":"u"}}',
      [`${set}/metadata.json`]: '{"categories":{"Nature":["red","green"],"Flags":["blue"]}}',
      [`${set}/icons.json`]: JSON.stringify({
        width: 10,
        height: 10,
        icons: { red: icon('#ff0000'), green: icon('#00ff00'), blue: icon('#0000ff') },
      }),
    });
    const [source] = loadEmoji(['fxemoji'], [from]);
    expect(source.about).toMatchObject({
      creator: 'A',
      licence: { name: 'MIT' },
      package: { version: '1.2.3' },
    });
    const middle = async (index: number) => {
      const pixels = await rasterize(source.svg(0, index), 64);
      return [...pixels.subarray((32 * 64 + 32) * 3, (32 * 64 + 32) * 3 + 3)].join();
    };
    expect([await middle(0), await middle(1)].sort()).toEqual(['0,255,0', '255,0,0']);
    expect([await middle(2), await middle(3)]).toEqual([await middle(0), await middle(1)]);
    expect(source.svg(0, 0)).not.toBe(source.svg(0, 2));
  });

  it('says what to install for sets that are not there', () => {
    expect(() => loadEmoji(['twemoji'], [root])).toThrow(InputError);
    expect(() => loadEmoji(['twemoji'], [root])).toThrow(/npm install @iconify-json\/twemoji$/);
  });
});
