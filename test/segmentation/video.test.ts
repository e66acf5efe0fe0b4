/** Frames of every kind of clip, things followed through them, frames steadied by their neighbours. */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type RgbPicture, writeAnimation } from '../../src/image/index.js';
import { openClip } from '../../src/segmentation/frames.js';
import type { Instance } from '../../src/segmentation/instances.js';
import { Tracker, tracksCsv } from '../../src/segmentation/tracks.js';
import { smoothFrame } from '../../src/segmentation/video.js';
import { png, temporaryFolder, write } from '../data/helpers.js';

const dir = await temporaryFolder();
const plain = (value: number, width = 16, height = 12): RgbPicture => ({
  data: new Uint8Array(width * height * 3).fill(value),
  width,
  height,
});

async function all(frames: AsyncIterable<RgbPicture>): Promise<RgbPicture[]> {
  const list: RgbPicture[] = [];
  for await (const frame of frames) list.push(frame);
  return list;
}
const first = (list: readonly RgbPicture[]) => list.map(({ data }) => data[0]);

describe('frames', () => {
  it('of a folder come in the order of their numbers', async () => {
    const at = join(dir, 'folder');
    await write(at, {
      'f10.png': await png('#0a0a0a'),
      'f9.png': await png('#090909'),
      'f2.png': await png('#020202'),
    });
    const clip = await openClip(at);
    expect(clip.count).toBe(3);
    expect(first(await all(clip.frames))).toEqual([2, 9, 10]);
  });

  it.each(['.webp', '.gif'])('of an animated %s are whole pictures, with their time', async (extension) => {
    const path = join(dir, `clip${extension}`);
    await writeAnimation(path, [plain(10), plain(90), plain(200)], { delay: 120, hold: 120 });
    const clip = await openClip(path);
    expect([clip.count, clip.delay]).toEqual([3, 120]);
    const list = await all(clip.frames);
    expect(list.map(({ width, height }) => [width, height])).toEqual([
      [16, 12],
      [16, 12],
      [16, 12],
    ]);
    first(list).forEach((value, i) => {
      expect(Math.abs(value - [10, 90, 200][i])).toBeLessThanOrEqual(4);
    });
  });

  /** A program that speaks as ffmpeg does, in pieces that do not end where frames do. */
  const speaking = async (name: string, script: string) => {
    await write(dir, { [name]: `#!${process.execPath}\n${script}` });
    await chmod(join(dir, name), 0o755);
    return join(dir, name);
  };

  it('of a video come through ffmpeg', async () => {
    const program = await speaking(
      'ffmpeg.cjs',
      `if (!process.argv.includes('pipe:1')) { console.error('  Stream #0:0: Video: h264, 16x12, 12.5 fps'); process.exit(1); }
       const frames = Buffer.concat([10, 90, 200].map((v) => Buffer.concat([Buffer.from('P6\\n16 12\\n255\\n'), Buffer.alloc(576, v)])));
       for (let i = 0; i < frames.length; i += 100) process.stdout.write(frames.subarray(i, i + 100));`,
    );
    await write(dir, { 'film.mp4': 'x' });
    const clip = await openClip(join(dir, 'film.mp4'), program);
    expect([clip.count, clip.delay]).toEqual([null, 80]);
    const list = await all(clip.frames);
    expect(first(list)).toEqual([10, 90, 200]);
    expect(list.every(({ data }) => data.length === 576)).toBe(true);
  });

  it('say in one line what is missing', async () => {
    await write(dir, { 'film.mp4': 'x', 'torn.gif': 'GIF89a' });
    await expect(openClip(join(dir, 'film.mp4'), join(dir, 'no-ffmpeg'))).rejects.toThrow(
      /videos need ffmpeg, which is not installed — .*film.mp4 — install it/,
    );
    const silent = await speaking('silent.cjs', 'process.exit(1)');
    await expect(openClip(join(dir, 'film.mp4'), silent)).rejects.toThrow(
      /no pictures in it that ffmpeg can read/,
    );
    const failing = await speaking(
      'failing.cjs',
      `if (!process.argv.includes('pipe:1')) console.error('Stream #0:0: Video: h264'); else { console.error('corrupt'); process.exit(1); }`,
    );
    const clip = await openClip(join(dir, 'film.mp4'), failing);
    await expect(all(clip.frames)).rejects.toThrow(/ffmpeg failed: corrupt/);
    await expect(openClip(join(dir, 'torn.gif'))).rejects.toThrow(/damaged/);
    await expect(openClip(join(dir, 'none.mp4'))).rejects.toThrow(/no such file/);
  });
});

const thing = (id: number, x: number, y: number, name = 'disc'): Instance => ({
  ...{ id, class: name, x, y, area: 78, diameter: 10, left: x - 5, top: y - 5, width: 10, height: 10 },
  ...{ edge: false, probability: null },
});

describe('tracks', () => {
  it('go on straight where two things pass each other', () => {
    const tracker = new Tracker();
    const seen: number[][] = [];
    for (let frame = 0; frame < 12; frame++) {
      // From left and right, past each other, 4 pixels apart at the nearest; the order within a frame changes.
      const [a, b] = [thing(1, 10 + 5 * frame, 20), thing(2, 65 - 5 * frame, 24)];
      const numbers = tracker.add(frame, frame % 2 ? [b, a] : [a, b]);
      seen.push(frame % 2 ? [numbers[1], numbers[0]] : numbers);
    }
    expect(seen.every(([a, b]) => a === 1 && b === 2)).toBe(true);
    expect(tracker.tracks).toHaveLength(2);
  });

  it('outlive a short absence, and end with a long one', () => {
    const frames = (gap: number) => {
      const tracker = new Tracker({ patience: 3 });
      tracker.add(0, [thing(1, 10, 10)]);
      tracker.add(1, [thing(1, 13, 10)]);
      for (let i = 0; i < gap; i++) tracker.add(2 + i, []);
      return tracker.add(2 + gap, [thing(1, 13 + 3 * (gap + 1), 10)])[0];
    };
    expect([frames(0), frames(3), frames(4)]).toEqual([1, 1, 2]);
  });

  it('are of one class, and begin anew far away', () => {
    const tracker = new Tracker();
    tracker.add(0, [thing(1, 10, 10)]);
    expect(tracker.add(1, [thing(1, 11, 10, 'box'), thing(2, 40, 10)])).toEqual([2, 3]);
  });

  it('are written with their speeds', () => {
    const tracker = new Tracker();
    tracker.add(0, [thing(1, 10, 10)]);
    tracker.add(2, [thing(4, 14, 7)]);
    expect(tracksCsv(tracker.tracks)).toBe(
      'track,class,frame,x,y,area,vx,vy\r\n1,disc,0,10,10,78,,\r\n1,disc,2,14,7,78,2,-1.5\r\n',
    );
  });
});

it('a frame is steadied by its neighbours', () => {
  const p = (...data: number[]) => ({ data: Float32Array.from(data), classes: 2, width: 1, height: 1 });
  expect([...smoothFrame(p(1, 0), p(0.4, 0.6), p(1, 0), 0.5).data].map((x) => Number(x.toFixed(4)))).toEqual([
    0.7, 0.3,
  ]);
  expect([...smoothFrame(null, p(0, 1), p(1, 0), 0.25).data].map((x) => Number(x.toFixed(4)))).toEqual([
    0.2, 0.8,
  ]);
  expect(smoothFrame(null, p(0, 1), null, 0.5)).toEqual(p(0, 1));
  expect(smoothFrame(p(1, 0), p(0, 1), p(1, 0), 0)).toEqual(p(0, 1));
});
