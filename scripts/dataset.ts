import type { Argv, CommandModule } from 'yargs';
import { RENDERED_NAMES } from '../src/data/rendered/names.js';
import { COLLECTION_NAMES } from '../src/data/styles/names.js';
import { outputOptions } from './cli/options.js';

export interface DatasetArgs {
  name: string;
  out?: string;
  size?: number;
  count?: number;
  seed: number;
  styles?: string[];
  force: boolean;
  json: boolean;
  quiet: boolean;
}

/** `sumi dataset NAME`: writes a style dataset from openly licensed drawings, or a rendered one with masks. */
export const dataset: CommandModule<object, DatasetArgs> = {
  command: 'dataset <name>',
  describe:
    'Write a dataset to train on: openly licensed drawings with labels, or rendered scenes with masks',
  builder: (yargs) =>
    outputOptions(
      yargs
        .positional('name', {
          type: 'string',
          choices: [...COLLECTION_NAMES, ...RENDERED_NAMES],
          demandOption: true,
          describe:
            'With labels: characters (faces by several artists), emoji (by four makers), shapes. With masks, rendered: the others',
        })
        .option('out', { type: 'string', describe: 'Folder to make (default: data/NAME)' })
        .option('size', {
          type: 'number',
          describe: 'Side of the pictures in pixels (default: 64, with masks 96)',
        })
        .option('count', {
          type: 'number',
          describe:
            'Pictures per style (default: characters 1500, emoji 400, shapes 250); with masks: pictures (200 to 1200)',
        })
        .option('seed', { type: 'number', default: 0, describe: 'Another seed gives other pictures' })
        .option('styles', {
          type: 'string',
          describe: 'Only these styles, with commas between (default: all)',
          coerce: (text?: string) => text?.split(',').map((style) => style.trim()),
        })
        .option('force', {
          type: 'boolean',
          default: false,
          describe: 'Replace a dataset that this command made before',
        }),
    ) as Argv<DatasetArgs>,
  handler: async (argv) => {
    const { runDataset } = await import('./cli/dataset.js');
    await runDataset(argv);
  },
};
