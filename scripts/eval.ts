/** `sumi eval`: options here, the work in scripts/cli/eval.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { engineOptions, outputOptions } from './cli/options.js';
import { type RefineArgs, refineOption } from './cli/refining.js';
import { type SpeedArgs, speedOptions } from './cli/speed.js';

export interface EvalArgs extends SpeedArgs, RefineArgs {
  model?: string;
  images?: string;
  pairs?: string;
  data?: string;
  'held-back'?: string;
  out: string;
  count?: number;
  reference: number;
  size?: number;
  label?: string;
  seed: number;
  steps?: number;
  scheduler?: string;
  eta?: number;
  guidance?: number;
  fit?: 'crop' | 'pad' | 'stretch';
  background?: string;
  cache?: string;
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const evalCommand: CommandModule<object, EvalArgs> = {
  command: 'eval [model]',
  describe: 'Measure how near generated pictures come to real ones',
  builder: (yargs: Argv) =>
    refineOption(outputOptions(engineOptions(speedOptions(yargs))))
      .positional('model', {
        type: 'string',
        describe: 'Checkpoint folder, run folder, or name of a shipped model, which draws the pictures',
      })
      .option('images', { type: 'string', describe: 'Folder of generated pictures, instead of a model' })
      .option('data', { type: 'string', describe: 'Folder of real pictures: what the model was trained on' })
      .option('held-back', {
        type: 'string',
        describe: 'Folder of real pictures that were not trained on: how good the figures could be',
      })
      .option('pairs', {
        type: 'string',
        describe:
          'Folder of other versions of the pictures in --images, by the same names: PSNR, SSIM and perceptual distance of each pair',
      })
      .option('out', {
        type: 'string',
        default: 'eval',
        describe: 'Folder for report.html, report.json, closest.png and the pictures that were drawn',
      })
      .option('count', { type: 'number', describe: 'Pictures that the model draws (default 500)' })
      .option('reference', {
        type: 'number',
        default: 5000,
        describe: 'Real pictures to compare with, at most',
      })
      .option('size', { type: 'number', describe: 'Side to compare at, in pixels (default: as generated)' })
      .option('label', { type: 'string', describe: 'Only pictures of this label' })
      .option('seed', { type: 'number', default: 0, describe: 'Picture i is drawn with seed + i' })
      .option('steps', { type: 'number', describe: 'Denoising steps (default: the model’s)' })
      .option('scheduler', { type: 'string', describe: 'What denoises (default: the model’s)' })
      .option('eta', { type: 'number', describe: 'Noise of ddim (default 0) and tcd (default 0.3), 0 to 1' })
      .option('guidance', { type: 'number', describe: 'Pull towards the label (default: the model’s)' })
      .option('fit', {
        type: 'string',
        choices: ['crop', 'pad', 'stretch'] as const,
        describe: 'How real pictures become square (default crop)',
      })
      .option('background', {
        type: 'string',
        describe: 'Colour behind transparent pictures (default white)',
      })
      .option('cache', { type: 'string', describe: 'Folder to keep the real pictures’ features in' })
      .example('sumi eval run --data pictures', 'the quality of a model of your own')
      .example('sumi eval --images drawn --data pictures', 'of pictures that are drawn already')
      .example(
        'sumi eval --images after --pairs before',
        'two versions of the same pictures',
      ) as unknown as Argv<EvalArgs>,
  handler: async (argv: ArgumentsCamelCase<EvalArgs>) => {
    const { runEval } = await import('./cli/eval.js');
    await runEval(argv);
  },
};
