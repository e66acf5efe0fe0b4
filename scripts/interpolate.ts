/** `sumi interpolate`: options here, the work in scripts/cli/interpolate.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { type DrawingArgs, engineOptions, outputOptions, samplingOptions } from './cli/options.js';
import { type RefineArgs, refineOption } from './cli/refining.js';

export interface InterpolateArgs extends Omit<DrawingArgs, 'count' | 'seed'>, RefineArgs {
  seeds: string;
  frames: number;
  closed: boolean;
}

export const interpolate: CommandModule<object, InterpolateArgs> = {
  command: 'interpolate',
  describe: 'Draw the pictures between pictures: from seed to seed, from label to label',
  builder: (yargs: Argv) =>
    refineOption(outputOptions(engineOptions(samplingOptions(yargs))))
      .option('seeds', {
        type: 'string',
        default: '0,1',
        describe:
          'Seeds of the pictures to pass through, with commas between; one is enough with several labels',
      })
      .option('frames', {
        type: 'number',
        default: 8,
        describe: 'Pictures from each of these to the next',
      })
      .option('closed', {
        type: 'boolean',
        default: false,
        describe: 'Lead back to the first picture',
      })
      .option('out', {
        type: 'string',
        default: 'between.webp',
        describe: 'Animation, FILE.webp or FILE.gif; or FILE.png, a sheet; or a folder for 0000.png …',
      })
      .example('sumi interpolate --seeds 3,8 --closed', 'two pictures that become one another')
      .example(
        'sumi interpolate --label lorelei,emoji',
        'one seed from style to style',
      ) as unknown as Argv<InterpolateArgs>,
  handler: async (argv: ArgumentsCamelCase<InterpolateArgs>) => {
    const { runInterpolate } = await import('./cli/interpolate.js');
    await runInterpolate(argv);
  },
};
