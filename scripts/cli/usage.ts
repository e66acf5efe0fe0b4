/** Turns what yargs says about a wrong command line into Sumi's one line. */
import type { CommandModule } from 'yargs';
import { InputError } from '../../src/errors.js';

/** yargs speaks in sentences of its own; these are ours. */
export const strings = {
  'Unknown argument: %s': { one: 'unknown %s', other: 'unknown %s' },
  'Unknown command: %s': { one: 'unknown %s', other: 'unknown %s' },
  'Missing required argument: %s': { one: 'missing --%s', other: 'missing --%s' },
  'Not enough arguments following: %s': 'no value for --%s',
  'Not enough non-option arguments: got %s, need at least %s': {
    one: 'too few arguments: %s of %s',
    other: 'too few arguments: %s of %s',
  },
  'Invalid values:': 'not one of its choices:',
  'Argument: %s, Given: %s, Choices: %s': '--%s %s (choose from %s)',
  'Arguments %s and %s are mutually exclusive': '--%s and --%s exclude each other',
};

const nameOf = (command: CommandModule<object, never>): string => String(command.command).split(' ')[0];

/** How many letters must change to make one word the other (Levenshtein's distance). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

function nearest(word: string, choices: readonly string[]): string | undefined {
  const best = [...choices].sort((a, b) => distance(word, a) - distance(word, b))[0];
  return best !== undefined && distance(word, best) <= Math.max(1, word.length / 3) ? best : undefined;
}

/**
 * A usage error: what, in which command, what to do.
 * @param message what yargs said
 * @param argv the words after `sumi`
 * @param commands the table of commands
 */
export function usageError(
  message: string,
  argv: readonly string[],
  commands: readonly CommandModule<object, never>[],
): InputError {
  const first = argv.find((word) => !word.startsWith('-'));
  const names = commands.map(nameOf);
  const command = commands.find((c) => nameOf(c) === first);
  if (!command) {
    if (argv.length === 0)
      return new InputError(`no command given — sumi — choose from ${names.join(', ')}; see \`sumi --help\``);
    if (first === undefined) return new InputError(`unknown option ${argv[0]} — sumi — see \`sumi --help\``);
    const guess = nearest(first, names);
    const advice = guess ? `did you mean ${guess}?` : `choose from ${names.join(', ')}`;
    return new InputError(`unknown command ${first} — sumi — ${advice}`);
  }
  const actions = (command as { actions?: readonly CommandModule<object, never>[] }).actions?.map(nameOf);
  const action = argv.slice(argv.indexOf(first as string) + 1).find((word) => !word.startsWith('-'));
  if (actions && !actions.includes(action ?? '')) {
    const what = action === undefined ? 'no action given' : `unknown action ${action}`;
    return new InputError(`${what} — sumi ${first} — choose from ${actions.join(', ')}`);
  }
  const where = actions ? `sumi ${first} ${action}` : `sumi ${first}`;
  const see = `see \`${where} --help\``;
  if (message.startsWith('too few arguments'))
    return new InputError(`too few arguments — ${where} — it is \`sumi ${command.command}\`; ${see}`);
  if (message.startsWith('unknown ')) return new InputError(`${unknown(message, argv)} — ${where} — ${see}`);
  return new InputError(`${message} — ${where} — ${see}`);
}

/** "unknown foo, b" with the dashes that the user typed: "unknown option --foo, argument b". */
function unknown(message: string, argv: readonly string[]): string {
  const things = message
    .slice('unknown '.length)
    .split(', ')
    .map((name) => {
      const typed = argv
        .map((word) => word.split('=')[0])
        .find((word) => /^--?[^-]/.test(word) && word.replace(/^-+/, '') === name);
      if (typed) return `option ${typed}`;
      // One of several letters behind one dash: -xyz.
      if (name.length === 1 && argv.some((word) => /^-[^-]/.test(word) && word.includes(name)))
        return `option -${name}`;
      return `argument ${name}`;
    });
  return `unknown ${things.join(', ')}`;
}
