/** `sumi segment predict`: options here, the work in scripts/cli/segment-predict.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { engineOptions, outputOptions } from '../cli/options.js';
import { thingOptions, tileOptions } from './options.js';

export interface SegmentPredictArgs {
  model: string;
  image: string;
  masks?: string;
  out: string;
  save: string;
  keep?: string;
  tile?: number;
  overlap?: number;
  resize?: number;
  split: boolean;
  neck?: number;
  'min-area'?: number;
  softness?: number;
  decontaminate: boolean;
  tolerance?: number;
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const segmentPredict: CommandModule<object, SegmentPredictArgs> = {
  command: 'predict',
  describe: 'Masks, cut-outs, outlines and counts of pictures by a trained model',
  builder: (yargs: Argv) =>
    thingOptions(tileOptions(outputOptions(engineOptions(yargs))))
      .option('model', {
        type: 'string',
        demandOption: true,
        describe: 'Model folder, the run that made it, or cutout (shipped)',
      })
      .option('image', { type: 'string', demandOption: true, describe: 'Picture of any size, or a folder' })
      .option('out', { type: 'string', default: 'segmented', describe: 'Folder to write to' })
      .option('masks', {
        type: 'string',
        describe: 'True masks (a folder, or the mask’s file): scores each class and draws a sheet',
      })
      .option('save', {
        type: 'string',
        default: 'mask,overlay',
        describe:
          'What to write, with commas between: mask, overlay, probabilities, cutout, svg, geojson, ids. things.csv and report.json always',
      })
      .option('keep', {
        type: 'string',
        describe: 'Classes that a cut-out keeps (default: all but the first)',
      })
      .option('softness', {
        type: 'number',
        describe: 'cutout: probabilities this far from a half fade, 0 to 0.5 (default 0.35; 0: hard edges)',
      })
      .option('decontaminate', {
        type: 'boolean',
        default: true,
        describe: 'cutout: take the background’s colour out of soft edges',
      })
      .option('tolerance', {
        type: 'number',
        describe: 'svg, geojson: pixels that outlines may be off by (default 0.75)',
      })
      .example('sumi segment predict --model run --image photo.png --save cutout', 'cut out')
      .example(
        'sumi segment predict --model run --image slides --split',
        'count',
      ) as unknown as Argv<SegmentPredictArgs>,
  handler: async (argv: ArgumentsCamelCase<SegmentPredictArgs>) => {
    const { runSegmentPredict } = await import('../cli/segment-predict.js');
    await runSegmentPredict(argv);
  },
};
