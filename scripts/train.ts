/** `sumi train`: options here, the work in scripts/cli/train.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { engineOptions, outputOptions } from './cli/options.js';

export interface TrainArgs {
  data?: string;
  out?: string;
  resume?: string;
  preset?: string;
  config?: string;
  stage?: 'autoencoder' | 'decoder' | 'diffusion' | 'all';
  autoencoder?: string;
  init?: string;
  inpaint?: string;
  distill?: string;
  'distill-steps'?: number;
  refine?: string;
  scale?: number;
  size?: number;
  steps?: number;
  minutes?: number;
  batch?: number;
  accumulate?: number;
  lr?: number;
  'checkpoint-every'?: number;
  'eval-every'?: number;
  'held-back'?: number;
  seed?: number;
  flip?: boolean;
  background?: string;
  fit?: 'crop' | 'pad' | 'stretch';
  'aspect-ratio-buckets'?: boolean;
  strict?: boolean;
  cache?: string;
  dtype: 'fp32' | 'fp16';
  engine: string;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const train: CommandModule<object, TrainArgs> = {
  command: 'train',
  describe: 'Train a model on a folder of pictures, or go on with a run',
  builder: (yargs: Argv) =>
    outputOptions(engineOptions(yargs))
      .option('data', {
        type: 'string',
        describe: 'Folder of pictures; sub-folders or metadata.jsonl are labels',
      })
      .option('out', { type: 'string', describe: 'Run directory to make' })
      .option('resume', { type: 'string', describe: 'Run directory to go on with, with its own settings' })
      .option('preset', {
        type: 'string',
        choices: ['tiny', 'light', 'small', 'base'],
        describe:
          'tiny: 16×16 pixels, under a minute; light and small: 64×64 by latents; base: 128×128. Default: what fits --minutes, or small',
      })
      .option('config', {
        type: 'string',
        describe: 'JSON file with settings (docs/training.md), over the preset’s',
      })
      .option('stage', {
        type: 'string',
        choices: ['autoencoder', 'decoder', 'diffusion', 'all'] as const,
        describe:
          'What to train (default all); decoder, with --init: how that model’s latents become pictures',
      })
      .option('init', {
        type: 'string',
        describe:
          'Model (folder or name) to train further: its weights, its text encoder, and its settings unless --config or --preset has others',
      })
      .option('inpaint', {
        type: 'string',
        describe:
          'As --init, and to fill in: the network sees a mask too, and what is kept of the picture (for sumi inpaint)',
      })
      .option('autoencoder', {
        type: 'string',
        describe: 'Checkpoint whose autoencoder to use instead of training one',
      })
      .option('distill', {
        type: 'string',
        describe:
          'Model (folder or name) to make a faster one of; it draws what that learns from, without --data',
      })
      .option('distill-steps', {
        type: 'number',
        describe: 'Steps in which the faster model is to draw (default 4)',
      })
      .option('refine', {
        type: 'string',
        describe:
          'Model (folder or name) to train a second stage for: a U-Net that makes its pictures larger and sharper',
      })
      .option('scale', { type: 'number', describe: 'With --refine: how many times larger (default 2)' })
      .option('size', { type: 'number', describe: 'Side of the pictures in pixels' })
      .option('steps', { type: 'number', describe: 'Steps of the last stage (with --resume: the new total)' })
      .option('minutes', {
        type: 'number',
        describe: 'Train for about so long instead; both stages share it, and it chooses the preset',
      })
      .option('batch', { type: 'number', describe: 'Pictures a step of the last stage' })
      .option('accumulate', {
        type: 'number',
        describe: 'Batches whose gradients make one step, in the memory of one batch (default 1)',
      })
      .option('lr', { type: 'number', describe: 'Learning rate of the last stage' })
      .option('checkpoint-every', { type: 'number', describe: 'Steps between checkpoints and sample sheets' })
      .option('eval-every', {
        type: 'number',
        describe: 'Steps between measurements of the quality: KID of 100 pictures, into metrics.jsonl',
      })
      .option('held-back', {
        type: 'number',
        describe:
          'Share of the pictures that is measured on, not trained on (light, small, base, --init: 0.05)',
      })
      .option('seed', { type: 'number', describe: 'Seed of everything random (default 0)' })
      .option('flip', { type: 'boolean', describe: 'Train on mirrored pictures too' })
      .option('background', {
        type: 'string',
        describe: 'Colour behind transparent pictures (default white)',
      })
      .option('fit', {
        type: 'string',
        choices: ['crop', 'pad', 'stretch'] as const,
        describe: 'How pictures become square (default crop)',
      })
      .option('aspect-ratio-buckets', {
        type: 'boolean',
        describe: 'Train on pictures of several shapes, each brought to the nearest instead of to a square',
      })
      .option('strict', { type: 'boolean', describe: 'Stop at a damaged picture instead of leaving it out' })
      .option('cache', { type: 'string', describe: 'Folder to keep the decoded pictures in' })
      .option('dtype', {
        type: 'string',
        choices: ['fp32', 'fp16'] as const,
        default: 'fp32' as const,
        describe: 'Weights of the published model',
      })
      .conflicts('steps', 'minutes')
      .conflicts('init', 'inpaint')
      .example('sumi train --data pictures --out run --preset tiny', 'a first try')
      .example('sumi train --data pictures --out run --minutes 120', 'two hours')
      .example('sumi train --distill characters --out fast', 'a model that draws in 4 steps without guidance')
      .example('sumi train --refine RUN --data pictures --out new', 'its pictures twice as large')
      .example('sumi train --resume run', 'go on after a stop') as unknown as Argv<TrainArgs>,
  handler: async (argv: ArgumentsCamelCase<TrainArgs>) => {
    const { runTrain } = await import('./cli/train.js');
    await runTrain(argv);
  },
};
