/** Options that several commands share, under one name and one description. */
import type { Argv } from 'yargs';

/** --json and --quiet. */
export function outputOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('json', { type: 'boolean', default: false, describe: 'Print one JSON object to stdout' })
    .option('quiet', { alias: 'q', type: 'boolean', default: false, describe: 'No progress on stderr' });
}
