import type { Argv, CommandModule } from 'yargs';

interface InspectArgs {
  path: string;
  json: boolean;
}

/** `sumi inspect PATH`: what a checkpoint, a weights file, a run or a picture is. */
export const inspect: CommandModule<object, InspectArgs> = {
  command: 'inspect <path>',
  describe: 'Tell what a checkpoint, a weights file, a run or a picture made by Sumi is',
  builder: (yargs) =>
    yargs
      .positional('path', {
        type: 'string',
        demandOption: true,
        describe: 'Checkpoint or run folder, .safetensors file, or PNG',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'Print one JSON object to stdout',
      }) as Argv<InspectArgs>,
  handler: async ({ path, json }) => {
    const [{ inspectPath }, { inspectionText }, { print, printJson }] = await Promise.all([
      import('./cli/inspect.js'),
      import('./cli/inspect-text.js'),
      import('./cli/report.js'),
    ]);
    const found = await inspectPath(path);
    if (json) printJson(found);
    else print(inspectionText(found));
  },
};
