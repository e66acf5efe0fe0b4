/** `sumi segment example`: options here, the work in scripts/cli/segment-example.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { RENDERED_NAMES, type RenderedName } from '../../src/data/rendered/names.js';
import { engineOptions, outputOptions } from '../cli/options.js';

export interface SegmentExampleArgs {
  name: RenderedName;
  out?: string;
  steps?: number;
  dtype: 'fp32' | 'fp16';
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const segmentExample: CommandModule<object, SegmentExampleArgs> = {
  command: 'example <name>',
  describe: 'Render a dataset, train on it, and score what was held back',
  builder: (yargs: Argv) =>
    outputOptions(engineOptions(yargs))
      .positional('name', {
        type: 'string',
        choices: RENDERED_NAMES,
        demandOption: true,
        describe:
          'cells (medical), aerial (satellite), landscapes (natural), leaves (agriculture), streets (driving), scratches (industry), moving (video), sprites (art)',
      })
      .option('out', {
        type: 'string',
        describe: 'Folder for data, run and results (default: runs/example-NAME)',
      })
      .option('steps', { type: 'number', describe: 'Steps (default: the example’s, 300 to 1000)' })
      .option('dtype', {
        type: 'string',
        choices: ['fp32', 'fp16'] as const,
        default: 'fp32' as const,
        describe: 'Weights of the model',
      })
      .example('sumi segment example cells', 'a few minutes') as unknown as Argv<SegmentExampleArgs>,
  handler: async (argv: ArgumentsCamelCase<SegmentExampleArgs>) => {
    const { runSegmentExample } = await import('../cli/segment-example.js');
    await runSegmentExample(argv);
  },
};
