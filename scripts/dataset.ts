import { join } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { COLLECTION_NAMES } from '../src/data/styles/names.js';
import { outputOptions } from './cli/options.js';

interface DatasetArgs {
  name: string;
  out?: string;
  size: number;
  count?: number;
  seed: number;
  styles?: string[];
  force: boolean;
  json: boolean;
  quiet: boolean;
}

/** `sumi dataset NAME`: writes a style dataset from openly licensed drawings. */
export const dataset: CommandModule<object, DatasetArgs> = {
  command: 'dataset <name>',
  describe: 'Write a labelled dataset of openly licensed drawings, to train on',
  builder: (yargs) =>
    outputOptions(
      yargs
        .positional('name', {
          type: 'string',
          choices: COLLECTION_NAMES,
          demandOption: true,
          describe: 'characters (faces by several artists), emoji (by four makers), shapes (needs nothing)',
        })
        .option('out', { type: 'string', describe: 'Folder to make (default: data/NAME)' })
        .option('size', { type: 'number', default: 64, describe: 'Side of the pictures in pixels' })
        .option('count', {
          type: 'number',
          describe: 'Pictures per style (default: characters 1500, emoji 400, shapes 250)',
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
  handler: async ({ name, out = join('data', name), size, count, seed, styles, force, json, quiet }) => {
    const [{ findCollection, makeStyleDataset }, { interruptible }, { startProgress }, { print, printJson }] =
      await Promise.all([
        import('../src/data/styles/index.js'),
        import('./cli/interrupt.js'),
        import('./cli/progress.js'),
        import('./cli/report.js'),
      ]);
    const { defaultCount, labels } = findCollection(name);
    const total = (count ?? defaultCount) * (styles ?? labels).length;
    const progress = startProgress({ label: 'draw', total, quiet });
    const made = await interruptible((signal) =>
      makeStyleDataset(name, {
        out,
        size,
        count,
        seed,
        styles,
        force,
        signal,
        onProgress: (done) => progress.update(done),
      }),
    ).finally(() => progress.stop());
    if (json) {
      printJson(made);
      return;
    }
    const credits = made.styles.map(
      ({ label, title, creator, licence }) => `  ${label}: ${title} by ${creator}, ${licence.name}`,
    );
    print(
      [
        `${made.dir}: ${made.pictures} pictures of ${size}×${size} in ${made.seconds.toFixed(1)} s`,
        ...credits,
        `train on them: sumi train --data ${out} --size ${size} --out runs/${name}`,
      ].join('\n'),
    );
  },
};
