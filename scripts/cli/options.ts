/** Options that several commands share, under one name and one description. */
import type { Argv } from 'yargs';
import { SCHEDULER_NAMES } from '../../src/schedulers/names.js';
import { type GuidanceArgs, guidanceOptions } from './guidance.js';
import type { LoraArgs } from './lora.js';
import type { PromptArgs } from './prompt.js';
import { type SpeedArgs, speedOptions } from './speed.js';

/** --json and --quiet. */
export function outputOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('json', { type: 'boolean', default: false, describe: 'Print one JSON object to stdout' })
    .option('quiet', { alias: 'q', type: 'boolean', default: false, describe: 'No progress on stderr' });
}

/** --engine and --threads. */
export function engineOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('engine', {
      type: 'string',
      choices: ['onnx', 'webgpu', 'cuda', 'tensorflow', 'wasm', 'cpu'],
      default: 'onnx',
      describe: 'What computes',
    })
    .option('threads', { type: 'number', describe: 'CPU threads (default: all)' });
}

/** What every command that samples from a model has. */
export function samplingOptions<T>(yargs: Argv<T>) {
  const own = yargs
    .option('model', {
      type: 'string',
      default: 'characters',
      describe: 'Checkpoint folder, run folder, or name of a shipped model',
    })
    .option('steps', { type: 'number', describe: 'Denoising steps (default: the model’s)' })
    .option('scheduler', {
      type: 'string',
      describe: `One of ${SCHEDULER_NAMES.join(', ')} (default: the model’s)`,
    })
    .option('eta', {
      type: 'number',
      describe: 'Noise of ddim (default 0, by a scribble 1) and tcd (default 0.3), 0 to 1',
    })
    .option('label', {
      type: 'string',
      array: true,
      nargs: 1,
      describe:
        'Label by name or number; several, with commas between or each its own, are taken in turn; one+other:2 blends',
    })
    .option('prompt', {
      type: 'string',
      describe: 'What the picture shows, for a model that draws from texts',
    })
    .option('negative', {
      type: 'string',
      describe: 'What it is not to show: a text that guidance leads away from',
    })
    .option('lora', {
      type: 'string',
      array: true,
      describe: 'LoRA file that changes the model, as FILE or FILE:SCALE; may be given several times',
    })
    .option('guidance', {
      type: 'number',
      describe: 'Pull towards the label or the prompt; 1 is none (default: the model’s)',
    });
  return speedOptions(guidanceOptions(own));
}

/** What the commands have in common that change a given picture. */
export interface DrawingArgs extends PromptArgs, LoraArgs, GuidanceArgs, SpeedArgs {
  model: string;
  out: string;
  count: number;
  seed: number;
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
