/** `sumi segment train`: options here, the work in scripts/cli/segment-train.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { engineOptions, outputOptions } from '../cli/options.js';

export interface SegmentTrainArgs {
  images?: string;
  masks?: string;
  out?: string;
  resume?: string;
  classes?: string;
  group?: 'none' | 'folder' | 'prefix';
  validation?: number;
  patience?: number;
  check: boolean;
  config?: string;
  base?: number;
  levels?: number;
  patch?: number;
  resize?: number;
  focus?: number;
  'class-weights'?: string;
  flip?: boolean;
  quarters?: boolean;
  rotate?: number;
  scale?: number;
  elastic?: number;
  colour?: number;
  steps?: number;
  minutes?: number;
  batch?: number;
  lr?: number;
  'checkpoint-every'?: number;
  seed?: number;
  dtype: 'fp32' | 'fp16';
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const segmentTrain: CommandModule<object, SegmentTrainArgs> = {
  command: 'train',
  describe: 'Train a classic U-Net on pictures and masks, or go on with a run',
  builder: (yargs: Argv) =>
    outputOptions(engineOptions(yargs))
      .option('images', { type: 'string', describe: 'Folder of pictures' })
      .option('masks', {
        type: 'string',
        describe: 'Folder of masks, named like their pictures (or metadata.jsonl names them)',
      })
      .option('out', { type: 'string', describe: 'Run directory to make' })
      .option('resume', { type: 'string', describe: 'Run directory to go on with, with its own settings' })
      .option('classes', {
        type: 'string',
        describe: 'JSON file of class names and mask colours (default: the colours found)',
      })
      .option('check', {
        type: 'boolean',
        default: false,
        describe: 'Only look through the masks and say what is wrong',
      })
      .option('group', {
        type: 'string',
        choices: ['none', 'folder', 'prefix'] as const,
        describe:
          'What is held back together: each picture by itself (default), its folder, or its name up to the last _ or -',
      })
      .option('validation', {
        type: 'number',
        describe: 'Share that is held back to measure by (default 0.2)',
      })
      .option('patience', {
        type: 'number',
        describe: 'Measurements without a better one before it stops (default 10; 0: never)',
      })
      .option('config', { type: 'string', describe: 'JSON file with settings (docs/segmentation.md)' })
      .option('base', { type: 'number', describe: 'Channels of the network’s highest level (default 16)' })
      .option('levels', { type: 'number', describe: 'How often the network halves (default 3)' })
      .option('patch', { type: 'number', describe: 'Side of the patches trained on (default 128)' })
      .option('resize', { type: 'number', describe: 'Make pictures smaller, to this longest side' })
      .option('focus', {
        type: 'number',
        describe: 'Share of the patches around a pixel that is no background (default 0.5)',
      })
      .option('class-weights', {
        type: 'string',
        describe: 'none (default), balanced, or a number for each class with commas between',
      })
      .option('flip', {
        type: 'boolean',
        describe: 'Mirror patches (default; --no-flip: text, left and right)',
      })
      .option('quarters', { type: 'boolean', describe: 'Turn patches by quarters: pictures without an up' })
      .option('rotate', { type: 'number', describe: 'Turn patches by up to so many degrees (default 10)' })
      .option('scale', { type: 'number', describe: 'Enlarge or shrink by up to this share (default 0.15)' })
      .option('elastic', { type: 'number', describe: 'Bend patches by about so many pixels (default 0)' })
      .option('colour', {
        type: 'number',
        describe: 'Change brightness, contrast and tint by up to this share (default 0.15)',
      })
      .option('steps', { type: 'number', describe: 'Steps (default 1000; with --resume: the new total)' })
      .option('minutes', { type: 'number', describe: 'Train for about so long instead' })
      .option('batch', { type: 'number', describe: 'Patches a step (default 8)' })
      .option('lr', { type: 'number', describe: 'Learning rate (default 0.002)' })
      .option('checkpoint-every', {
        type: 'number',
        describe: 'Steps between states, measurements and sheets (default 100)',
      })
      .option('seed', { type: 'number', describe: 'Seed of everything random (default 0)' })
      .option('dtype', {
        type: 'string',
        choices: ['fp32', 'fp16'] as const,
        default: 'fp32' as const,
        describe: 'Weights of the published model',
      })
      .conflicts('steps', 'minutes')
      .example('sumi segment train --images photos --masks masks --check', 'are the masks sound?')
      .example('sumi segment train --images photos --masks masks --out run', 'train')
      .example('sumi segment train --resume run', 'go on after a stop') as unknown as Argv<SegmentTrainArgs>,
  handler: async (argv: ArgumentsCamelCase<SegmentTrainArgs>) => {
    const { runSegmentTrain } = await import('../cli/segment-train.js');
    await runSegmentTrain(argv);
  },
};
