/** `sumi inpaint`: options here, the work in scripts/cli/inpaint.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { type DrawingArgs, engineOptions, outputOptions, samplingOptions } from './cli/options.js';

export interface InpaintArgs extends DrawingArgs {
  image: string;
  mask?: string;
  'mask-from'?: string;
  'mask-classes'?: string;
  'mask-grow'?: number;
  method?: 'replace' | 'repaint';
  'jump-length': number;
  jumps: number;
  area: 'auto' | 'mask' | 'whole';
  blend: 'poisson' | 'none';
  feather: number;
  'invert-mask': boolean;
}

export const inpaint: CommandModule<object, InpaintArgs> = {
  command: 'inpaint',
  describe: 'Draw a part of a picture anew',
  builder: (yargs: Argv) =>
    outputOptions(engineOptions(samplingOptions(yargs)))
      .option('image', { type: 'string', demandOption: true, describe: 'The picture' })
      .option('mask', {
        type: 'string',
        describe: 'Picture of the same size: white is drawn anew, black is kept to the byte',
      })
      .option('mask-from', {
        type: 'string',
        describe:
          'Instead of --mask: segment:MODEL, what a model of sumi segment train (or cutout, shipped) finds in the picture',
      })
      .option('mask-classes', {
        type: 'string',
        describe: 'mask-from: only these classes, with commas between (default: all but the first)',
      })
      .option('mask-grow', {
        type: 'number',
        describe: 'Draw so many pixels more around what the mask names (below 0: fewer)',
      })
      .conflicts('mask', 'mask-from')
      .option('out', {
        type: 'string',
        default: 'inpainted.png',
        describe: 'FILE.png, or a folder for several',
      })
      .option('method', {
        type: 'string',
        choices: ['replace', 'repaint'] as const,
        describe:
          'repaint (default) goes back and forth for a better fit; replace is quicker. A model that was trained to fill in has its own way',
      })
      .option('eta', {
        type: 'number',
        describe: 'DDIM’s noise, 0 to 1 (default: 1, or 0 where the model was trained to fill in)',
      })
      .option('label', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'What the picture is, by name or number: worth giving (default: the model goes without)',
      })
      .option('guidance', {
        type: 'number',
        describe:
          'Pull towards the label or the prompt (default: 1, none, for a label, since what is kept pulls already; the model’s for a prompt)',
      })
      .option('jump-length', {
        type: 'number',
        default: 5,
        describe: 'repaint: steps that are taken back at a time',
      })
      .option('jumps', {
        alias: 'jump-n-sample',
        type: 'number',
        default: 4,
        describe: 'repaint: how often each stretch is drawn',
      })
      .option('area', {
        type: 'string',
        choices: ['auto', 'mask', 'whole'] as const,
        default: 'auto' as const,
        describe:
          'What the model sees of a larger picture: around the mask, or all of it (auto: all up to 4 times its size)',
      })
      .option('blend', {
        type: 'string',
        choices: ['poisson', 'none'] as const,
        default: 'poisson' as const,
        describe:
          'poisson: what is painted takes over the colours around it at its edge; none: as it was drawn',
      })
      .option('feather', {
        type: 'number',
        default: 0,
        describe: 'Pixels over which what is painted fades in over what was there, on the painted side',
      })
      .option('invert-mask', {
        type: 'boolean',
        default: false,
        describe: 'Draw what is black and keep what is white',
      })
      .option('count', { type: 'number', default: 1, describe: 'How many versions; version i uses seed + i' })
      .option('seed', { type: 'number', default: 0, describe: 'The same seed draws the same' })
      .example('sumi inpaint --image face.png --mask mask.png --out new.png', 'by the shipped model')
      .example(
        'sumi inpaint --image photo.png --mask-from segment:run --mask-grow 3',
        'draw what a model of sumi segment finds anew',
      ) as unknown as Argv<InpaintArgs>,
  handler: async (argv: ArgumentsCamelCase<InpaintArgs>) => {
    const { runInpaint } = await import('./cli/inpaint.js');
    await runInpaint(argv);
  },
};
