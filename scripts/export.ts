/** `sumi export`: options here, the work in scripts/cli/export.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { outputOptions } from './cli/options.js';

export interface ExportArgs {
  model: string;
  to: string;
  out: string;
  dtype: string;
  size?: number;
  threads?: number;
  json: boolean;
  quiet: boolean;
}

export const exportCommand: CommandModule<object, ExportArgs> = {
  command: 'export',
  describe: 'Write a model for other programs: ONNX files, or a diffusers folder',
  builder: (yargs: Argv) =>
    outputOptions(yargs)
      .option('model', {
        type: 'string',
        default: 'characters',
        describe: 'Checkpoint folder, run folder, or name of a shipped model',
      })
      .option('to', {
        type: 'string',
        choices: ['onnx', 'diffusers'],
        default: 'onnx',
        describe: 'ONNX files of standard operators, or a diffusers folder written anew',
      })
      .option('out', { type: 'string', demandOption: true, describe: 'Folder, new or empty' })
      .option('dtype', {
        type: 'string',
        choices: ['fp32', 'fp16', 'bf16'],
        default: 'fp32',
        describe: 'What weights are stored as (bf16: diffusers only)',
      })
      .option('size', {
        type: 'number',
        describe: 'Side of the pictures in pixels, for ONNX (default: the model’s)',
      })
      .option('threads', { type: 'number', describe: 'CPU threads of the check (default: all)' })
      .example(
        'sumi export --model runs/mine --to onnx --out mine-onnx',
        'for onnxruntime, also in a browser',
      )
      .example(
        'sumi export --model old --to diffusers --dtype fp16 --out new',
        'half the size, in today’s form',
      ) as unknown as Argv<ExportArgs>,
  handler: async (argv: ArgumentsCamelCase<ExportArgs>) => {
    const { runExport } = await import('./cli/export.js');
    await runExport(argv);
  },
};
