import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { lockRun } from '../../src/training/lock.js';
import { lossCurve } from '../../src/training/loss-curve.js';
import { createRunDir, MetricsLog } from '../../src/training/run-dir.js';

let folder: string;
let made = 0;
const fresh = () => join(folder, `run-${made++}`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sumi-run-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The number of a process that has ended. */
const ended = () => spawnSync(process.execPath, ['-e', '']).pid;

describe('a run directory', () => {
  it('is made with its configuration, locked, and unlocked', async () => {
    const dir = fresh();
    const unlock = await createRunDir(dir, { data: 'x' });
    expect((await readdir(dir)).sort()).toEqual(['checkpoints', 'config.json', 'run.lock', 'samples']);
    await unlock();
    expect((await readdir(dir)).sort()).toEqual(['checkpoints', 'config.json', 'samples']);
  });

  it('may exist if it is empty, and is never overwritten', async () => {
    const dir = fresh();
    await mkdir(dir);
    await (await createRunDir(dir, {}))();
    await expect(createRunDir(dir, {})).rejects.toThrow(/not empty — .*run-\d+ — go on .* --resume/);
    const deep = join(fresh(), 'a', 'b');
    await (await createRunDir(deep, {}))();
    expect(await readdir(deep)).toContain('config.json');
    const file = fresh();
    await writeFile(file, '');
    await expect(createRunDir(join(file, 'run'), {})).rejects.toThrow(InputError);
    await expect(createRunDir(file, {})).rejects.toThrow(InputError);
  });

  it('is not left half-made', async () => {
    const dir = fresh();
    const impossible = {
      get data(): string {
        throw new Error('no');
      },
    };
    await expect(createRunDir(dir, impossible)).rejects.toThrow('no');
    await expect(readdir(dir)).rejects.toThrow('ENOENT');
    await mkdir(dir);
    await expect(createRunDir(dir, impossible)).rejects.toThrow('no');
    expect(await readdir(dir)).toEqual([]);
  });
});

describe.runIf(process.platform === 'linux')('where no folder can be made', () => {
  it('says so at once', async () => {
    await expect(createRunDir('/proc/sumi/run', {})).rejects.toThrow(
      /cannot make the folder: .* — \/proc\/sumi/,
    );
  });
});

describe('a lock', () => {
  it('keeps a second training out, in this process as in another', async () => {
    const dir = fresh();
    await mkdir(dir);
    const unlock = await lockRun(dir);
    await expect(lockRun(dir)).rejects.toThrow(InputError);
    await unlock();
    // The first process of the machine always lives.
    await writeFile(join(dir, 'run.lock'), `${hostname()} 1\n`);
    await expect(lockRun(dir)).rejects.toThrow(
      /another process trains in this folder — .* — wait for it, or delete .*run\.lock/,
    );
  });

  it.each([
    ['of a process that is gone', () => `${hostname()} ${ended()}\n`],
    ['of an earlier process of the same number', () => `${hostname()} ${process.pid}\n`],
    ['of another machine', () => 'elsewhere 1\n'],
  ])('%s is taken over', async (_, content) => {
    const dir = fresh();
    await mkdir(dir);
    await writeFile(join(dir, 'run.lock'), content());
    const unlock = await lockRun(dir);
    expect(await readFile(join(dir, 'run.lock'), 'utf8')).toBe(`${hostname()} ${process.pid}\n`);
    await unlock();
  });
});

describe('metrics', () => {
  it('lose what came after the state that a run goes on from, and half a line', async () => {
    const dir = fresh();
    await mkdir(dir);
    const lines = [1, 2, 3, 4].map((step) => JSON.stringify({ step, loss: 1 / step }));
    // A measurement is kept, and is no step.
    lines.splice(2, 0, '{"step":2,"kid":0.1,"extractor":"x"}');
    await writeFile(join(dir, 'metrics.jsonl'), `${lines.join('\n')}\nnull\n7\n{"step":5,"lo`);
    const log = await MetricsLog.open(dir, 3);
    expect(log.entries.map((m) => m.step)).toEqual([1, 2, 3]);
    log.add({ step: 4, loss: 0.5 });
    await log.flush();
    await log.flush();
    expect(await readFile(join(dir, 'metrics.jsonl'), 'utf8')).toBe(
      `${lines.slice(0, 4).join('\n')}\n{"step":4,"loss":0.5}\n`,
    );
  });
});

describe('the loss curve', () => {
  const points = (n: number, loss: (step: number) => number) =>
    Array.from({ length: n }, (_, i) => ({ step: i + 1, loss: loss(i + 1) }));
  /** Every tag is closed and in its place: enough of XML for what is drawn. */
  function tags(svg: string): string[] {
    const open: string[] = [];
    const seen: string[] = [];
    for (const [, closing, name, rest] of svg.matchAll(/<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*\s*\/?)>/g)) {
      seen.push(name);
      if (closing) expect(open.pop()).toBe(name);
      else if (!rest.endsWith('/')) open.push(name);
    }
    expect(open).toEqual([]);
    expect(svg.match(/</g)?.length).toBe([...svg.matchAll(/<(\/?)([a-z]+)/g)].length);
    return seen;
  }

  it.each([
    ['nothing', []],
    ['one point', points(1, () => 0.5)],
    ['a constant', points(10, () => 0.5)],
    ['zeros', points(10, () => 0)],
    ['thousands of points', points(5000, (s) => 1 / s)],
    ['gaps that are no numbers', points(20, (s) => (s % 3 ? 1 / s : Number.NaN))],
    ['losses below 0', points(20, (s) => 1 - s)],
  ])('of %s is sound SVG with numbers in it', (name, values) => {
    const svg = lossCurve(values);
    const seen = tags(svg);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(seen.includes('polyline')).toBe(name !== 'nothing');
    const [, path = ''] = /polyline points="([^"]*)"/.exec(svg) ?? [];
    for (const pair of path.split(' ').filter(Boolean)) {
      const [x, y] = pair.split(',').map(Number);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(720);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(360);
    }
    expect(path.split(' ').length).toBeLessThanOrEqual(300);
  });

  it('has the losses of checkpoints beside it, and room for them', () => {
    const losses = points(100, (s) => 1 + 1 / s);
    const measured = [
      { step: 50, sample_mean: [1, 2, 3] },
      { step: 50, held_back_loss: 4, train_loss: 1.5 },
      { step: 100, held_back_loss: 5, train_loss: 1.4 },
    ];
    const svg = lossCurve(losses, measured);
    const lines = [...svg.matchAll(/polyline points="([^"]*)"/g)].map(([, path]) => path.split(' '));
    expect(lines.map((line) => line.length)).toEqual([100, 2, 2]);
    const heights = lines.flat().map((pair) => Number(pair.split(',')[1]));
    // The largest is at the top, the steps where the loss has them.
    expect(heights[103]).toBe(Math.min(...heights));
    expect(lines[2].map((pair) => Number(pair.split(',')[0]))).toEqual(
      [49, 99].map((i) => Number(lines[0][i].split(',')[0])),
    );
    expect(svg).toContain('held-back pictures');
    expect(lossCurve(losses, measured.slice(0, 1))).toBe(lossCurve(losses));
  });

  it('is logarithmic where the loss falls by more than ten', () => {
    expect(lossCurve(points(100, (s) => 1 / s))).toContain('(log)');
    expect(lossCurve(points(100, (s) => 1 + 1 / s))).not.toContain('(log)');
  });
});
