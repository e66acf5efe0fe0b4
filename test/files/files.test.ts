import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError, RunError } from '../../src/errors.js';
import {
  fileError,
  makeFolder,
  writeDirectoryAtomically,
  writeFileAtomic,
  writeFileAtomically,
} from '../../src/files/index.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sumi-files-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('files', () => {
  it('replaces a file whole and leaves nothing behind when it cannot', async () => {
    const path = join(dir, 'whole.txt');
    await writeFileAtomic(path, 'old');
    await writeFileAtomic(path, 'new');
    expect(await readFile(path, 'utf8')).toBe('new');
    await expect(writeFileAtomic(join(path, 'below.txt'), 'x')).rejects.toThrow(InputError);
    await writeFileAtomic(join(dir, 'folder', 'x'), 'x');
    await expect(writeFileAtomic(join(dir, 'folder'), 'x')).rejects.toThrow(InputError);
    expect((await readdir(dir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it.skipIf(process.getuid?.() === 0)('says when rights are missing', async () => {
    const locked = join(dir, 'locked');
    await writeFileAtomic(join(locked, 'x'), 'x');
    await chmod(locked, 0o500);
    await expect(writeFileAtomic(join(locked, 'y'), 'y')).rejects.toThrow(/no permission/);
    await chmod(locked, 0o700);
  });

  it('tells the caller’s errors from the machine’s', () => {
    const fault = (code: string) =>
      fileError(Object.assign(new Error(`${code}: x`), { code }), '/p', 'cannot write');
    expect(fault('ENOSPC')).toBeInstanceOf(RunError);
    expect(fault('ENOSPC').message).toBe(
      'cannot write: the disk is full — /p — free some space and try again',
    );
    expect(fault('EACCES')).toBeInstanceOf(InputError);
    expect(fault('ENOENT')).toBeInstanceOf(InputError);
    expect(fault('EWHAT')).toBeInstanceOf(RunError);
    const own = new InputError('own');
    expect(fileError(own, '/p', 'x')).toBe(own);
    const bug = new TypeError('bug');
    expect(fileError(bug, '/p', 'x')).toBe(bug);
  });

  it('names the place that was given, not the hidden one that is written first', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    const target = join(dir, 'model');
    const writing = writeDirectoryAtomically(target, (hidden) =>
      writeFileAtomically(join(hidden, 'weights'), () => Promise.reject(full)),
    );
    await expect(writing).rejects.toThrow(
      `cannot write: the disk is full — ${join(target, 'weights')} — free some space and try again`,
    );
    expect(await readdir(dir)).not.toContain('model');
  });

  it('sweeps files that killed processes left, and only those', async () => {
    const folder = join(dir, 'sweep');
    await makeFolder(folder);
    const host = hostname().replaceAll(/[^\w.]/g, '');
    const dead = `.x.tmp-${host}-4194999-0123abcd`; // beyond Linux's largest process id
    const others = ['.x.tmp', `.x.tmp-otherhost-4194999-0123abcd`];
    for (const name of [dead, ...others]) await writeFile(join(folder, name), '');
    await writeFileAtomic(join(folder, 'x'), 'x');
    expect((await readdir(folder)).sort()).toEqual([...others, 'x'].sort());
  });

  it('takes names as long as the file system does', async () => {
    const name = 'n'.repeat(255);
    await writeFileAtomic(join(dir, name), 'x');
    expect(await readdir(dir)).toContain(name);
  });

  it.runIf(process.platform === 'linux')('does not hang where no folder can be made', async () => {
    await expect(makeFolder('/proc/none/deep')).rejects.toThrow(/cannot make the folder/);
  });
});
