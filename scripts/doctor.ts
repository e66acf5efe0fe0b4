/** `sumi doctor`: options here, the work in scripts/cli/doctor.ts. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';

export interface DoctorArgs {
  model?: string;
  threads?: number;
  json: boolean;
}

export const doctor: CommandModule<object, DoctorArgs> = {
  command: 'doctor [model]',
  describe: 'Find what is wrong with a model, or tell what this machine can do',
  builder: (yargs: Argv) =>
    yargs
      .positional('model', {
        type: 'string',
        describe: 'Checkpoint folder, run folder, or name of a shipped model; without it, this machine',
      })
      .option('threads', { type: 'number', describe: 'CPU threads (default: all)' })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'Print one JSON object to stdout',
      })
      .epilogue('Exit code 1: the model would not draw as it should, or the machine would not run Sumi.')
      .example('sumi doctor', 'engines, versions, memory')
      .example(
        'sumi doctor runs/mine',
        'one line for each thing that is wrong',
      ) as unknown as Argv<DoctorArgs>,
  handler: async (argv: ArgumentsCamelCase<DoctorArgs>) => {
    const { runDoctor } = await import('./cli/doctor.js');
    await runDoctor(argv);
  },
};
