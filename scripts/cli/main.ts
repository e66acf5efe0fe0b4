/** Parses the command line and runs a command; every outcome becomes an exit code. */
import yargs, { type Argv, type CommandModule } from 'yargs';
import { EXIT, reportError } from './report.js';
import { BARE_FAST } from './speed.js';
import { strings, usageError } from './usage.js';
import { checkValues, fillBare, keepLast, type OptionTypes } from './values.js';
import { version } from './version.js';

/** getOptions is public in yargs but missing in its types. */
const optionsOf = (parser: unknown) => (parser as { getOptions(): OptionTypes }).getOptions();

/**
 * Runs the command line.
 * @param typed the words after `sumi`
 * @param commands the table of commands
 * @returns the exit code: 0 done, 1 failed, 2 bad input, 130 stopped
 */
export async function main(
  typed: readonly string[],
  commands: readonly CommandModule<object, never>[],
): Promise<number> {
  const argv = fillBare(typed, new Map([['fast', BARE_FAST]]));
  const parser: Argv = yargs(argv)
    .scriptName('sumi')
    .usage('sumi: train diffusion models and draw with them\n\nsumi COMMAND [options]')
    .locale('en')
    .updateStrings(strings as never)
    .parserConfiguration({ 'greedy-arrays': false, 'parse-positional-numbers': false })
    .version(version())
    .help()
    .alias({ help: 'h', version: 'v' })
    .strict()
    .demandCommand(1, 'no command given')
    .middleware((parsed) => keepLast(argv, parsed, optionsOf(parser)), true)
    .check((parsed) => {
      checkValues(argv, parsed, optionsOf(parser));
      return true;
    })
    .epilogue('SUMI_DEBUG=1 shows the stack of an error.')
    .wrap(Math.min(110, process.stdout.columns || 100))
    .exitProcess(false)
    .fail((message, error) => {
      // A handler's own error has no message of yargs's; yargs's own errors are called YError.
      if (error && !message) throw error;
      throw usageError(message || String(error), argv, commands);
    });
  for (const command of commands) parser.command(command);
  try {
    await parser.parseAsync();
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    return reportError(error);
  }
}
