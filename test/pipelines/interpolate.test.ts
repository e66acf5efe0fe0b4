/** Series of pictures from seed to seed and from label to label. */
import { readdir, stat } from 'node:fs/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { InputError } from '../../src/errors.js';
import type { RgbPicture } from '../../src/image/index.js';
import {
  betweenNoises,
  DiffusionPipeline,
  type InterpolateOptions,
  interpolate,
} from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { capture } from '../cli/capture.js';
import { labelled, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
let model: DiffusionPipeline;
beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  model = await DiffusionPipeline.fromPretrained(at('model'), { threads: 1 });
});
afterAll(() => model.dispose());

const length = (x: Float32Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
const worst = (a: RgbPicture, b: RgbPicture) =>
  a.data.reduce((most, x, i) => Math.max(most, Math.abs(x - b.data[i])), 0);
const series = (options: InterpolateOptions) => interpolate(model, { steps: 3, ...options });

describe('noise between noises', () => {
  const [a, b] = [new Random(1).normal(5000), new Random(2).normal(5000)];

  it('ends in both and keeps their length', () => {
    expect(betweenNoises(a, b, 0)).toBe(a);
    expect(betweenNoises(a, b, 1)).toBe(b);
    for (const t of [0.2, 0.5, 0.9]) {
      const expected = (1 - t) * length(a) + t * length(b);
      expect(length(betweenNoises(a, b, t)) / expected).toBeCloseTo(1, 2);
    }
  });

  it('goes at an even pace along the arc', () => {
    const [x, y] = [Float32Array.of(1, 0), Float32Array.of(0, 1)];
    for (const t of [0.25, 0.5, 0.75]) {
      const [p, q] = betweenNoises(x, y, t);
      expect(Math.atan2(q, p)).toBeCloseTo((t * Math.PI) / 2, 6);
    }
    expect([...betweenNoises(x, x, 0.5)]).toEqual([1, 0]);
  });
});

describe('a series', () => {
  it('passes through the pictures that generate draws', async () => {
    const pictures = await series({ seeds: [1, 5, 9], label: ['ant', 'bee', 'cat'], frames: 3 });
    for (const [i, { position }] of pictures.entries()) expect(position).toBeCloseTo(i / 3, 12);
    expect(pictures).toHaveLength(7);
    for (const [i, [seed, label]] of (
      [
        [1, 'ant'],
        [5, 'bee'],
        [9, 'cat'],
      ] as const
    ).entries()) {
      const [plain] = await model.generate({ seed, label, steps: 3 });
      expect(worst(pictures[3 * i], plain)).toBe(0);
      expect(pictures[3 * i]).toMatchObject({ seed, label });
    }
    expect(worst(pictures[1], pictures[0])).toBeGreaterThan(0);
  });

  it('is between two labels what it is the other way round', async () => {
    const [, there] = await series({ seeds: [4], label: ['ant', 'bee'], frames: 2 });
    const [, back] = await series({ seeds: [4], label: ['bee', 'ant'], frames: 2 });
    expect(worst(there, back)).toBeLessThanOrEqual(1);
    for (const label of ['ant', 'bee'])
      expect(worst(there, (await model.generate({ seed: 4, label, steps: 3 }))[0])).toBeGreaterThan(1);
  });

  it('leads back to its beginning where it is closed', async () => {
    const pictures = await series({ seeds: [1, 2], label: 'ant', frames: 2, closed: true });
    expect(pictures.map(({ position }) => position)).toEqual([0, 0.5, 1, 1.5]);
    // The way back is the way there.
    expect(worst(pictures[1], pictures[3])).toBeLessThanOrEqual(1);
  });

  it('is the same in batches, and with noise at each step', async () => {
    const options = { seeds: [1, 2], label: ['ant', 'cat'], frames: 3, scheduler: 'ddpm' };
    const [alone, batched] = [await series(options), await series({ ...options, batchSize: 3 })];
    for (const [i, picture] of alone.entries()) expect(worst(picture, batched[i])).toBeLessThanOrEqual(1);
  });

  it.each<[InterpolateOptions, RegExp]>([
    [{ seeds: [1] }, /leads nowhere/],
    [{ seeds: [1, 2], label: ['ant', 'bee', 'cat'] }, /2 for 3 pictures — --seeds/],
    [{ seeds: [1, 2, 3], label: ['ant', 'bee'] }, /2 for 3 pictures — --label/],
    [{ seeds: [1, 2], frames: 0 }, /--frames/],
    [{ seeds: [1, 2], label: 'dog' }, /label dog is unknown/],
    [{ seeds: [1, 2], label: ['ant', 'bee'], cacheInterval: 2 }, /--fast/],
  ])('refuses %o', async (options, why) => {
    await expect(series(options)).rejects.toThrow(InputError);
    await expect(series(options)).rejects.toThrow(why);
  });
});

describe('sumi interpolate', () => {
  const sumi = (...argv: string[]) =>
    capture(() =>
      main(
        ['interpolate', '--model', at('model'), '--steps', '2', '--threads', '1', '--quiet', ...argv],
        commands,
      ),
    );

  it('writes animations, sheets and folders', async () => {
    const run = async (out: string, ...more: string[]) =>
      expect(await sumi('--seeds', '3,4', '--frames', '3', '--out', at(out), ...more)).toMatchObject({
        value: 0,
        stdout: `${at(out)}\n`,
      });
    await run('a.webp', '--closed', '--label', 'ant,bee');
    expect((await sharp(at('a.webp')).metadata()).pages).toBe(6);
    await run('sheet.png');
    expect((await sharp(at('sheet.png')).metadata()).width).toBeGreaterThan(3 * 16);
    await run('folder');
    expect((await readdir(at('folder'))).sort()).toEqual(['0000.png', '0001.png', '0002.png', '0003.png']);
  });

  it.each([
    [['--seeds', '1,x'], /'x' is no seed — --seeds/],
    [['--seeds', '1,-2'], /seed -2/],
    [['--seeds', '7'], /leads nowhere/],
    [['--out', 'a.jpg'], /name a .webp, .gif or .png/],
  ])('refuses %j in one line', async (argv, why) => {
    const { value, stderr } = await sumi('--out', at('none.webp'), ...argv);
    expect([value, stderr]).toEqual([2, expect.stringMatching(why)]);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    await expect(stat(at('none.webp'))).rejects.toThrow();
  });
});
