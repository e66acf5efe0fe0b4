/** `sumi segment video`: options here, the work in scripts/cli/segment-video.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { engineOptions, outputOptions } from '../cli/options.js';
import { thingOptions, tileOptions } from './options.js';

export interface SegmentVideoArgs {
  model: string;
  video: string;
  out: string;
  smooth?: number;
  frames?: number;
  split: boolean;
  neck?: number;
  'min-area'?: number;
  film: boolean;
  tile?: number;
  overlap?: number;
  resize?: number;
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const segmentVideo: CommandModule<object, SegmentVideoArgs> = {
  command: 'video',
  describe: 'Masks of a moving picture’s frames, and things followed through them',
  builder: (yargs: Argv) =>
    thingOptions(tileOptions(outputOptions(engineOptions(yargs))))
      .option('model', {
        type: 'string',
        demandOption: true,
        describe: 'Model folder, the run that made it, or cutout (shipped)',
      })
      .option('video', {
        type: 'string',
        demandOption: true,
        describe: 'Folder of frames, animated WebP or GIF, or a video (which needs ffmpeg)',
      })
      .option('out', { type: 'string', default: 'moving', describe: 'Folder to write to' })
      .option('smooth', {
        type: 'number',
        describe: 'Weight of each neighbouring frame beside a frame’s own, 0 to 1 (default 0.25; 0: none)',
      })
      .option('frames', { type: 'number', describe: 'Only so many of the first frames' })
      .option('film', {
        type: 'boolean',
        default: true,
        describe: 'Write motion.webp: masks, ways and numbers',
      })
      .example(
        'sumi segment video --model run --video clip.webp',
        'masks, ways, a film',
      ) as unknown as Argv<SegmentVideoArgs>,
  handler: async (argv: ArgumentsCamelCase<SegmentVideoArgs>) => {
    const { runSegmentVideo } = await import('../cli/segment-video.js');
    await runSegmentVideo(argv);
  },
};
