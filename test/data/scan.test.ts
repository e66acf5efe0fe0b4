import { chmod, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { scanDataset } from '../../src/data/index.js';
import { InputError } from '../../src/errors.js';
import { temporaryFolder, write } from './helpers.js';

let root: string;
beforeAll(async () => {
  root = await temporaryFolder();
});

const names = async (dir: string) => (await scanDataset(dir)).entries.map(({ name }) => name);

describe('scanDataset', () => {
  it('finds pictures in every depth, in code-unit order, and labels them by their folder', async () => {
    const dir = await write(join(root, 'folders'), {
      'zebra/b.PNG': 'x',
      'zebra/deep/er/a.jpg': 'x',
      'apfel/ß.webp': 'x',
      'apfel/墨 😀.png': 'x',
      'apfel/Z.png': 'x',
      'top.gif': 'x',
      'notes.txt': 'x',
      'zebra/.hidden.png': 'x',
      '.git/x.png': 'x',
    });
    const scan = await scanDataset(dir);
    expect(scan.entries.map(({ name, label }) => [name, label])).toEqual([
      ['apfel/Z.png', 'apfel'],
      ['apfel/ß.webp', 'apfel'],
      ['apfel/墨 😀.png', 'apfel'],
      ['top.gif', null],
      ['zebra/b.PNG', 'zebra'],
      ['zebra/deep/er/a.jpg', 'zebra'],
    ]);
    expect(scan.labels).toEqual(['apfel', 'zebra']);
    expect([scan.unsupported, scan.unlisted]).toEqual([1, 0]);
  });

  it('follows links, but not in circles', async () => {
    const dir = await write(join(root, 'links'), { 'a/x.png': 'x' });
    await symlink('..', join(dir, 'a', 'up'));
    await symlink(join(dir, 'a', 'x.png'), join(dir, 'y.png'));
    await symlink(join(dir, 'nowhere.png'), join(dir, 'dangling.txt'));
    expect(await names(dir)).toEqual(['a/x.png', 'y.png']);
  });

  it('reads metadata.jsonl', async () => {
    const dir = await write(join(root, 'metadata'), {
      'a/1.png': 'x',
      'a/2.png': 'x',
      'a/3.png': 'x',
      'b/cafe\u0301.png': 'x',
      'a/left-out.png': 'x',
      'licences.json': '{}',
      'metadata.jsonl':
        '\ufeff{"file_name":"a/1.png","label":"blau"}\r\n\n{"file_name":"a/2.png","style":3}\n{"file_name":"./a/3.png"}\n{"file_name":"b/caf\u00e9.png","text":"é"}\n',
    });
    const scan = await scanDataset(dir);
    expect(scan.entries.map(({ name, label }) => [name, label])).toEqual([
      ['a/1.png', 'blau'],
      ['a/2.png', '3'],
      ['a/3.png', null],
      ['b/cafe\u0301.png', 'é'],
    ]);
    expect(scan.labels).toEqual(['3', 'blau', 'é']);
    expect([scan.unsupported, scan.unlisted]).toEqual([0, 1]);
  });

  it('reads metadata.jsonl of a sub-folder, and takes the folders as labels where it has none', async () => {
    const dir = await write(join(root, 'split'), {
      'train/1.png': 'x',
      'train/metadata.jsonl': '{"file_name":"1.png","width":3}',
    });
    expect((await scanDataset(dir)).entries).toMatchObject([{ name: 'train/1.png', label: 'train' }]);
  });

  it.each([
    ['not json', '{"file_name":"1.png"}\n{"file_name":', /not JSON.*metadata\.jsonl:2/],
    ['no object', '[1]', /not a JSON object.*metadata\.jsonl:1/],
    ['no file_name', '{"label":"x"}', /no "file_name".*metadata\.jsonl:1/],
    ['a missing file', '\n\n{"file_name":"2.png"}', /not there: 2\.png.*metadata\.jsonl:3/],
    ['a file outside', '{"file_name":"../1.png"}', /not there/],
    ['a file twice', '{"file_name":"1.png"}\n{"file_name":"1.png"}', /twice.*metadata\.jsonl:2/],
    ['a label that is a list', '{"file_name":"1.png","label":[1]}', /"label" is neither.*metadata\.jsonl:1/],
  ])('refuses metadata with %s, naming the line', async (name, metadata, message) => {
    const dir = await write(join(root, name), { '1.png': 'x', 'metadata.jsonl': metadata });
    const error = await scanDataset(dir).catch((e) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('\n');
  });

  it('says what is wrong with a folder', async () => {
    const dir = await write(join(root, 'wrong'), { 'a.txt': 'x', 'file.png': 'x', 'text/b.txt': 'x' });
    await mkdir(join(dir, 'empty'));
    await expect(scanDataset(join(dir, 'missing'))).rejects.toThrow(/no such folder — .*missing/);
    await expect(scanDataset(join(dir, 'file.png'))).rejects.toThrow(/a file, not a folder/);
    await expect(scanDataset(join(dir, 'file.png', 'x'))).rejects.toThrow(InputError);
    await expect(scanDataset(join(dir, 'empty'))).rejects.toThrow(/no pictures in the folder — /);
    await expect(scanDataset(join(dir, 'text'))).rejects.toThrow(/1 files of other kinds/);
  });

  it.skipIf(process.getuid?.() === 0)('says when a folder may not be read', async () => {
    const dir = await write(join(root, 'locked'), { 'in/a.png': 'x' });
    await chmod(join(dir, 'in'), 0);
    await expect(scanDataset(dir)).rejects.toThrow(/no permission/);
    await chmod(join(dir, 'in'), 0o700);
  });
});
