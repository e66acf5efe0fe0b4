/** `sumi average`: options here, the work in scripts/cli/average.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { engineOptions, outputOptions } from './cli/options.js';

export interface AverageArgs {
  run: string;
  width: string;
  at?: number;
  count: number;
  out?: string;
  dtype: 'fp32' | 'fp16';
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const average: CommandModule<object, AverageArgs> = {
  command: 'average <run>',
  describe: 'Publish a longer or shorter average of a run’s weights, after its training',
  builder: (yargs: Argv) =>
    outputOptions(engineOptions(yargs))
      .positional('run', {
        type: 'string',
        demandOption: true,
        describe: 'Run directory, trained with ema_widths',
      })
      .option('width', {
        type: 'string',
        demandOption: true,
        describe:
          'Length as a share of the training, 0 to 0.28; of several, with commas, the one with the lowest KID is taken',
      })
      .option('at', { type: 'number', describe: 'Kept step at which the average ends (default: the last)' })
      .option('count', {
        type: 'number',
        default: 100,
        describe: 'Pictures drawn for each of several widths',
      })
      .option('out', { type: 'string', describe: 'Folder for the model (default: the run’s own)' })
      .option('dtype', {
        type: 'string',
        choices: ['fp32', 'fp16'] as const,
        default: 'fp32' as const,
        describe: 'Weights of the published model',
      })
      .example('sumi average runs/mine --width 0.08', 'one average')
      .example(
        'sumi average runs/mine --width 0.03,0.1,0.2',
        'the best of three and of the present model',
      ) as unknown as Argv<AverageArgs>,
  handler: async (argv: ArgumentsCamelCase<AverageArgs>) => {
    const { runAverage } = await import('./cli/average.js');
    await runAverage(argv);
  },
};
