/** The option of commands whose pictures a refiner makes larger and sharper. */
import type { Argv } from 'yargs';
import type { DiffusionPipeline, FinishOptions } from '../../src/pipelines/index.js';

export interface RefineArgs {
  refine: boolean;
}

export function refineOption(yargs: Argv): Argv {
  return yargs.option('refine', {
    type: 'boolean',
    default: true,
    describe: 'Whether the model’s refiner, if it has one, makes pictures larger and sharper',
  });
}

/** What a picture's recipe says of it. */
export function refineFacts(pipeline: DiffusionPipeline, options: FinishOptions): { refined?: number } {
  const scale = pipeline.scale(options);
  return scale === 1 ? {} : { refined: scale };
}
