/** Options that several actions of `sumi segment` share. */
import type { Argv } from 'yargs';

/** How larger pictures are divided. */
export function tileOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('tile', {
      type: 'number',
      describe: 'Side of the tiles of larger pictures (default 256, or the patches trained on if larger)',
    })
    .option('overlap', { type: 'number', describe: 'Pixels that tiles share (default: a quarter)' })
    .option('resize', {
      type: 'number',
      describe: 'Make pictures smaller first, to this longest side (default: as in training)',
    });
}

/** What counts as a thing. */
export function thingOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('split', {
      type: 'boolean',
      default: false,
      describe: 'Count things that touch as several, by a watershed of the distance to the edge',
    })
    .option('neck', {
      type: 'number',
      describe: 'split: how much narrower than the things their neck must be, 0 to 1 (default 0.2)',
    })
    .option('min-area', { type: 'number', describe: 'Smaller things do not count (default 9 pixels)' });
}
