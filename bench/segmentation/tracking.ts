/**
 * How well things are followed: clips that no training has seen, in which nothing crosses or touches, through what
 * `sumi segment video` does.
 *
 *   sumi segment example moving
 *   npx tsx bench/segmentation/tracking.ts --model runs/example-moving/run
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { RENDERED } from '../../src/data/rendered/index.js';
import { drawPicture } from '../../src/data/rendered/make.js';
import { writePng } from '../../src/image/index.js';
import { connectedRegions, growMask, predictVideo, readSegmentModel } from '../../src/segmentation/index.js';
import { scoreTracks, sumTracking, type TrackedSpot, type TrackingScores } from './scores.js';

const argv = await yargs(hideBin(process.argv))
  .option('model', { type: 'string', default: 'runs/example-moving/run', describe: 'Trained on moving' })
  .option('clips', { type: 'number', default: 40 })
  .option('frames', { type: 'number', default: 16 })
  .option('size', { type: 'number', default: 96 })
  .option('seed', { type: 'number', default: 2, describe: '0 is trained on, 1 chose the settings' })
  .option('gap', {
    type: 'number',
    default: 4,
    describe: 'Pixels that things keep apart, at least; below 0: any clip',
  })
  .strict()
  .parse();

type Frame = Awaited<ReturnType<typeof drawPicture>>;

/** Whether things stay apart: grown by half the gap they are still as many. */
function apart({ mask, objects }: Frame): boolean {
  const things = Float32Array.from({ length: mask.width * mask.height }, (_, i) =>
    mask.data[i * 3] + mask.data[i * 3 + 1] + mask.data[i * 3 + 2] > 0 ? 1 : 0,
  );
  const grown = growMask(things, mask, argv.gap / 2);
  return connectedRegions(Uint8Array.from(grown), mask).count === objects;
}

async function drawClip(index: number): Promise<Frame[]> {
  const kind = { ...RENDERED.moving, frames: argv.frames };
  const frames: Frame[] = [];
  for (let i = 0; i < argv.frames; i++) {
    frames.push(await drawPicture(kind, 'moving', argv.seed, index * argv.frames + i, argv.size));
  }
  return frames;
}

async function readTracks(file: string): Promise<TrackedSpot[]> {
  const [, ...lines] = (await readFile(file, 'utf8')).trim().split('\r\n');
  return lines.map((line) => {
    const [track, name, frame, x, y, area] = line.split(',');
    return {
      ...{ track: Number(track), class: name, frame: Number(frame) },
      ...{ x: Number(x), y: Number(y), area: Number(area) },
    };
  });
}

const model = await readSegmentModel(argv.model);
const work = await mkdtemp(join(tmpdir(), 'sumi-tracking-'));
const scores: TrackingScores[] = [];
let drawn = 0;
try {
  for (; scores.length < argv.clips; drawn++) {
    const frames = await drawClip(drawn);
    if (argv.gap >= 0 && !frames.every(apart)) continue;
    const folder = join(work, String(drawn));
    await mkdir(folder);
    for (const [i, { picture }] of frames.entries()) await writePng(join(folder, `${i}.png`), picture);
    const report = await predictVideo(model, folder, join(folder, 'out'), { film: false });
    const things = (frames[0].movers ?? []).map(({ class: name }, i) => {
      return {
        class: name,
        way: frames.map(({ movers }) => movers?.[i] ?? { x: Number.NaN, y: Number.NaN }),
      };
    });
    const clip = scoreTracks(things, await readTracks(report.files.tracks));
    scores.push(clip);
    if (clip.whole < clip.things || clip.invented > 0)
      console.log(
        `clip ${drawn}: ${clip.whole} of ${clip.things} whole, ${clip.missed} missed, ${clip.invented} invented, ${clip.swaps} swaps, ${clip.misnamed} misnamed`,
      );
  }
} finally {
  await rm(work, { recursive: true, force: true });
}
const total = sumTracking(scores);
console.log(
  `${scores.length} of ${drawn} clips${argv.gap < 0 ? '' : ' keep things apart'}, ${argv.frames} frames each, seed ${argv.seed}`,
);
console.log(
  `${total.things} things in ${total.sightings} sightings: ${total.whole} followed whole, ${total.swaps} swaps, ${total.missed} missed, ${total.invented} invented, ${total.misnamed} misnamed, middles ${total.off.toFixed(2)} pixels off`,
);
