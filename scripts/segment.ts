/** `sumi segment train|predict`: options here, the work in scripts/cli/segment-*.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { RENDERED_NAMES, type RenderedName } from '../src/data/rendered/names.js';
import { engineOptions, outputOptions } from './cli/options.js';

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

const segmentTrain: CommandModule<object, SegmentTrainArgs> = {
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
    const { runSegmentTrain } = await import('./cli/segment-train.js');
    await runSegmentTrain(argv);
  },
};

/** How larger pictures are divided. */
function tileOptions<T>(yargs: Argv<T>) {
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
function thingOptions<T>(yargs: Argv<T>) {
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

const segmentPredict: CommandModule<object, SegmentPredictArgs> = {
  command: 'predict',
  describe: 'Masks, cut-outs, outlines and counts of pictures by a trained model',
  builder: (yargs: Argv) =>
    thingOptions(tileOptions(outputOptions(engineOptions(yargs))))
      .option('model', {
        type: 'string',
        demandOption: true,
        describe: 'Model folder, or the run that made it',
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
    const { runSegmentPredict } = await import('./cli/segment-predict.js');
    await runSegmentPredict(argv);
  },
};

export interface SegmentVideoArgs {
  model: string;
  video: string;
  out: string;
  smooth?: number;
  frames?: number;
  split: boolean;
  neck?: number;
  'min-area'?: number;
  film: boolean;
  tile?: number;
  overlap?: number;
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

const segmentVideo: CommandModule<object, SegmentVideoArgs> = {
  command: 'video',
  describe: 'Masks of a moving picture’s frames, and things followed through them',
  builder: (yargs: Argv) =>
    thingOptions(tileOptions(outputOptions(engineOptions(yargs))))
      .option('model', {
        type: 'string',
        demandOption: true,
        describe: 'Model folder, or the run that made it',
      })
      .option('video', {
        type: 'string',
        demandOption: true,
        describe: 'Folder of frames, animated WebP or GIF, or a video (which needs ffmpeg)',
      })
      .option('out', { type: 'string', default: 'moving', describe: 'Folder to write to' })
      .option('smooth', {
        type: 'number',
        describe: 'Weight of each neighbouring frame beside a frame’s own, 0 to 1 (default 0.25; 0: none)',
      })
      .option('frames', { type: 'number', describe: 'Only so many of the first frames' })
      .option('film', {
        type: 'boolean',
        default: true,
        describe: 'Write motion.webp: masks, ways and numbers',
      })
      .example('sumi segment video --model run --video clip.webp', '') as unknown as Argv<SegmentVideoArgs>,
  handler: async (argv: ArgumentsCamelCase<SegmentVideoArgs>) => {
    const { runSegmentVideo } = await import('./cli/segment-video.js');
    await runSegmentVideo(argv);
  },
};

export interface SegmentExampleArgs {
  name: RenderedName;
  out?: string;
  steps?: number;
  dtype: 'fp32' | 'fp16';
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

const segmentExample: CommandModule<object, SegmentExampleArgs> = {
  command: 'example <name>',
  describe: 'Render a dataset, train on it, and score what was held back',
  builder: (yargs: Argv) =>
    outputOptions(engineOptions(yargs))
      .positional('name', {
        type: 'string',
        choices: RENDERED_NAMES,
        demandOption: true,
        describe:
          'cells (medical), aerial (satellite), landscapes (natural), leaves (agriculture), streets (driving), scratches (industry), moving (video), sprites (art)',
      })
      .option('out', {
        type: 'string',
        describe: 'Folder for data, run and results (default: runs/example-NAME)',
      })
      .option('steps', { type: 'number', describe: 'Steps (default: the example’s, 400 to 900)' })
      .option('dtype', {
        type: 'string',
        choices: ['fp32', 'fp16'] as const,
        default: 'fp32' as const,
        describe: 'Weights of the model',
      })
      .example('sumi segment example cells', 'a few minutes') as unknown as Argv<SegmentExampleArgs>,
  handler: async (argv: ArgumentsCamelCase<SegmentExampleArgs>) => {
    const { runSegmentExample } = await import('./cli/segment-example.js');
    await runSegmentExample(argv);
  },
};

export interface SegmentChangeArgs {
  model: string;
  before: string;
  after: string;
  out: string;
  'min-area'?: number;
  tile?: number;
  overlap?: number;
  resize?: number;
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

const segmentChange: CommandModule<object, SegmentChangeArgs> = {
  command: 'change',
  describe: 'What has become another class between two pictures of one place',
  builder: (yargs: Argv) =>
    tileOptions(outputOptions(engineOptions(yargs)))
      .option('model', {
        type: 'string',
        demandOption: true,
        describe: 'Model folder, or the run that made it',
      })
      .option('before', { type: 'string', demandOption: true, describe: 'The earlier picture' })
      .option('after', {
        type: 'string',
        demandOption: true,
        describe: 'The later picture, of the same size',
      })
      .option('out', { type: 'string', default: 'change', describe: 'Folder to write to' })
      .option('min-area', {
        type: 'number',
        describe: 'Smaller changes are taken for uncertain edges (default 9 pixels)',
      })
      .example(
        'sumi segment change --model run --before may.png --after june.png',
        'what was built?',
      ) as unknown as Argv<SegmentChangeArgs>,
  handler: async (argv: ArgumentsCamelCase<SegmentChangeArgs>) => {
    const { runSegmentChange } = await import('./cli/segment-change.js');
    await runSegmentChange(argv);
  },
};

/** Commands of a command; the names are for messages about a wrong command line too. */
export const segment: CommandModule & { readonly actions: readonly CommandModule<object, never>[] } = {
  command: 'segment',
  actions: [
    segmentTrain as CommandModule<object, never>,
    segmentPredict as CommandModule<object, never>,
    segmentChange as CommandModule<object, never>,
    segmentVideo as CommandModule<object, never>,
    segmentExample as CommandModule<object, never>,
  ],
  describe: 'Tell the parts of pictures apart by a classic U-Net: train, predict, compare, follow',
  builder: (yargs: Argv) => {
    for (const action of segment.actions) yargs.command(action);
    return yargs.demandCommand(1, 'no action given');
  },
  handler: () => {},
};
