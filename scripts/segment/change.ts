/** `sumi segment change`: options here, the work in scripts/cli/segment-change.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { engineOptions, outputOptions } from '../cli/options.js';
import { tileOptions } from './options.js';

export interface SegmentChangeArgs {
  model: string;
  before: string;
  after: string;
  out: string;
  'min-area'?: number;
  tile?: number;
  overlap?: number;
  resize?: number;
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const segmentChange: CommandModule<object, SegmentChangeArgs> = {
  command: 'change',
  describe: 'What has become another class between two pictures of one place',
  builder: (yargs: Argv) =>
    tileOptions(outputOptions(engineOptions(yargs)))
      .option('model', {
        type: 'string',
        demandOption: true,
        describe: 'Model folder, the run that made it, or cutout (shipped)',
      })
      .option('before', { type: 'string', demandOption: true, describe: 'The earlier picture' })
      .option('after', {
        type: 'string',
        demandOption: true,
        describe: 'The later picture, of the same size',
      })
      .option('out', { type: 'string', default: 'change', describe: 'Folder to write to' })
      .option('min-area', {
        type: 'number',
        describe: 'Smaller changes are taken for uncertain edges (default 9 pixels)',
      })
      .example(
        'sumi segment change --model run --before may.png --after june.png',
        'what was built?',
      ) as unknown as Argv<SegmentChangeArgs>,
  handler: async (argv: ArgumentsCamelCase<SegmentChangeArgs>) => {
    const { runSegmentChange } = await import('../cli/segment-change.js');
    await runSegmentChange(argv);
  },
};
