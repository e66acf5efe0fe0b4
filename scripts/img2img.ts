/** `sumi img2img`: options here, the work in scripts/cli/img2img.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { type LookArgs, lookOptions } from './cli/looks.js';
import { type DrawingArgs, engineOptions, outputOptions, samplingOptions } from './cli/options.js';
import { type RefineArgs, refineOption } from './cli/refining.js';

export interface Img2ImgArgs extends DrawingArgs, LookArgs, RefineArgs {
  image: string;
  strength: number;
}

export const img2img: CommandModule<object, Img2ImgArgs> = {
  command: 'img2img',
  describe: 'Draw variations of a picture',
  builder: (yargs: Argv) =>
    refineOption(outputOptions(engineOptions(lookOptions(samplingOptions(yargs)))))
      .option('image', {
        type: 'string',
        demandOption: true,
        describe: 'The picture; it is cropped and resized to the model’s size',
      })
      .option('strength', {
        type: 'number',
        default: 0.6,
        describe: 'How much is drawn anew: 0 nothing, 1 everything',
      })
      .option('out', {
        type: 'string',
        default: 'img2img.png',
        describe: 'FILE.png, or a folder for several',
      })
      .option('count', { type: 'number', default: 1, describe: 'How many versions; version i uses seed + i' })
      .option('seed', { type: 'number', default: 0, describe: 'The same seed draws the same' })
      .example(
        'sumi img2img --image photo.jpg --strength 0.7 --label micah --out drawn.png',
        'by the shipped model',
      ) as unknown as Argv<Img2ImgArgs>,
  handler: async (argv: ArgumentsCamelCase<Img2ImgArgs>) => {
    const { runImg2Img } = await import('./cli/img2img.js');
    await runImg2Img(argv);
  },
};
