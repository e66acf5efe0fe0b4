/** `sumi generate`: options here, the work in scripts/cli/generate.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import type { GuidanceArgs } from './cli/guidance.js';
import { type LookArgs, lookOptions } from './cli/looks.js';
import type { LoraArgs } from './cli/lora.js';
import { engineOptions, outputOptions, samplingOptions } from './cli/options.js';
import type { PromptArgs } from './cli/prompt.js';
import { type RefineArgs, refineOption } from './cli/refining.js';
import type { SpeedArgs } from './cli/speed.js';

export interface GenerateArgs extends PromptArgs, LoraArgs, GuidanceArgs, SpeedArgs, LookArgs, RefineArgs {
  model: string;
  out: string;
  count: number;
  seed: number;
  vary?: number;
  size?: number;
  height?: number;
  width?: number;
  grid: boolean;
  animate?: string;
  steps?: number;
  scheduler?: string;
  eta?: number;
  label?: string[];
  guidance?: number;
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const generate: CommandModule<object, GenerateArgs> = {
  command: 'generate',
  describe: 'Draw pictures with a model',
  builder: (yargs: Argv) =>
    refineOption(outputOptions(engineOptions(lookOptions(samplingOptions(yargs)))))
      .option('out', {
        type: 'string',
        default: 'pictures',
        describe:
          'FILE.png of one picture; of several it gives the names FILE-SEED.png, and FILE.png is the sheet of --grid. Else a folder for SEED.png',
      })
      .option('count', { type: 'number', default: 1, describe: 'How many pictures; picture i uses seed + i' })
      .option('seed', { type: 'number', default: 0, describe: 'The same seed draws the same picture' })
      .option('vary', {
        type: 'number',
        describe: 'Pictures near that of --seed, 0 (the same) to 1 (others), as SEED-0.png, SEED-1.png, …',
      })
      .option('size', {
        type: 'number',
        describe: 'Side in pixels, before a refiner enlarges it (default: as the model was trained)',
      })
      .option('height', { type: 'number', describe: 'In pixels, of pictures that are not square' })
      .option('width', { type: 'number', describe: 'In pixels, of pictures that are not square' })
      .option('grid', {
        type: 'boolean',
        default: false,
        describe: 'Also write a sheet of all pictures: grid.png in the folder, or as --out says',
      })
      .option('animate', {
        type: 'string',
        describe: 'Also write how the pictures came out of the noise, as FILE.webp or FILE.gif',
      })
      .example('sumi generate --out cat.png', 'one picture by the shipped model')
      .example('sumi generate --count 16 --grid --out pictures', 'sixteen, and a sheet of them')
      .example('sumi generate --seed 7 --vary 0.3 --count 8 --grid --out near7', 'eight like picture 7')
      .example('sumi generate --scribble plan.png --label micah --out drawn.png', 'by a scribble')
      .example('sumi generate --model run/model --label cats --out cats', 'by a model of your own')
      .example(
        'sumi generate --model stable-diffusion-v1-5 --prompt "a red kite" --out kite.png',
        'from a text, by a model of a folder',
      ) as unknown as Argv<GenerateArgs>,
  handler: async (argv: ArgumentsCamelCase<GenerateArgs>) => {
    const { runGenerate } = await import('./cli/generate.js');
    await runGenerate(argv);
  },
};
