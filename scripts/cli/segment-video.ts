/** What `sumi segment video` does with its options. */
import { join } from 'node:path';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { writeFileAtomic } from '../../src/files/index.js';
import { predictVideo, readSegmentModel } from '../../src/segmentation/index.js';
import type { SegmentVideoArgs } from '../segment/video.js';
import { interruptible } from './interrupt.js';
import { type Progress, startProgress } from './progress.js';
import { note, print, printJson } from './report.js';
import { positive } from './train.js';

export async function runSegmentVideo(argv: SegmentVideoArgs): Promise<void> {
  for (const name of ['tile', 'resize', 'threads', 'min-area', 'frames'] as const)
    positive(name, argv[name], true);
  const { smooth, out, tile, overlap, resize, split, neck, threads, film } = argv;
  if (smooth !== undefined && !(smooth >= 0 && smooth <= 1))
    throw new InputError(`${smooth} is no use — --smooth — give a number from 0 to 1`);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  const model = await readSegmentModel(argv.model);
  const started = performance.now();
  let progress: Progress | undefined;
  const made = await interruptible((signal) =>
    predictVideo(model, argv.video, out, {
      ...{ engine, threads, tile, overlap, resize, smooth, split, neck, film, signal },
      most: argv.frames,
      minArea: argv['min-area'],
      onFrame: (done, total) => {
        progress ??= startProgress({ label: 'frame', total: total ?? undefined, quiet: argv.quiet });
        progress.update(done);
      },
    }),
  ).finally(() => progress?.stop());
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
  const report = { model: argv.model, video: argv.video, engine, seconds, ...made };
  await writeFileAtomic(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  if (argv.json) {
    printJson(report);
    return;
  }
  note(`${made.frames} frames in ${seconds.toFixed(1)} s`, argv);
  for (const { id, class: name, frames, first, last } of made.tracks.slice(0, 20))
    print(`track ${id}: ${name}, frames ${first} to ${last} (seen in ${frames})`);
  if (made.tracks.length > 20) print(`and ${made.tracks.length - 20} more`);
  print(`${out}: masks, tracks.csv, report.json${made.files.film ? ', motion.webp' : ''}`);
}
