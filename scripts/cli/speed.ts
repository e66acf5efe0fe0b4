/** Options that make drawing faster, which the commands that draw share. */
import type { Argv } from 'yargs';
import { type Precision, precisions } from '../../src/engine/quantize.js';
import type { PipelineOptions, SpeedOptions } from '../../src/pipelines/index.js';

export interface SpeedArgs {
  batch?: number;
  fast?: number;
  precision?: string;
}

/** What `--fast` without a number means: as measured in docs/generating.md, "Faster". */
export const BARE_FAST = 3;

export function speedOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('batch', {
      type: 'number',
      describe: 'Pictures drawn at once: faster, and the same but for rounding (default: 1)',
    })
    .option('fast', {
      type: 'number',
      describe: `Only one call of the network in so many is whole, ${BARE_FAST} where no number follows: faster, with other details`,
    })
    .option('precision', {
      type: 'string',
      choices: precisions,
      describe: 'Of the network’s convolutions: int8 is faster for large networks (default: fp32)',
    });
}

/** What they make of a pipeline's options; absent ones stay undefined. */
export const speedOf = ({ batch, fast }: SpeedArgs): SpeedOptions => ({
  batchSize: batch,
  cacheInterval: fast,
});

export const precisionOf = ({ precision }: SpeedArgs): Pick<PipelineOptions, 'precision'> => ({
  precision: precision as Precision | undefined,
});

/** What a recipe says of them: those that change a picture by more than rounding. */
export function speedFacts({ fast = 1, precision = 'fp32' }: SpeedArgs): Record<string, string | number> {
  return { ...(fast === 1 ? {} : { fast }), ...(precision === 'fp32' ? {} : { precision }) };
}
