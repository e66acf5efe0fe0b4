/** How commands speak: results to stdout, everything else to stderr, an error as one line and an exit code. */

import { InputError, RunError } from '../../src/errors.js';
import { fileErrorWords } from '../../src/files/errors.js';

export const EXIT = { done: 0, failed: 1, badInput: 2, interrupted: 130 } as const;

/** Thrown (or passed as a signal's reason) when the user stopped the command: exit 130, no message. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

const debugging = (): boolean => Boolean(process.env.SUMI_DEBUG);

/** One line, and nothing that a file name could do to a terminal (control characters, colours). */
export function oneLine(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\p{Cc}\u2028\u2029]/gu, '?')
    .trim();
}

function messageOf(error: unknown): string {
  if (error instanceof InputError || error instanceof RunError) return error.message;
  const { code, path, message } = (error ?? {}) as NodeJS.ErrnoException;
  const words = fileErrorWords(code ?? '');
  if (words) return `${words[0]} — ${path ?? 'this machine'} — ${words[1]}`;
  // Anything else is a fault of Sumi's own: its stack is worth having.
  return `${message || String(error)} — internal — run again with SUMI_DEBUG=1 for the stack, and report it`;
}

/** The exit code that an error stands for. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return EXIT.interrupted;
  return error instanceof InputError ? EXIT.badInput : EXIT.failed;
}

/**
 * Prints an error as `sumi: what — where — what to do` on stderr (its stack too under SUMI_DEBUG).
 * @returns the exit code: 2 for an InputError, 130 for an interruption (which prints nothing), else 1
 */
export function reportError(error: unknown): number {
  if (!(error instanceof Interrupted)) {
    process.stderr.write(`sumi: ${oneLine(messageOf(error))}\n`);
    if (debugging() && error instanceof Error && error.stack) process.stderr.write(`${error.stack}\n`);
  }
  return exitCodeOf(error);
}

/** A line on stderr about something that the command worked around. */
export function warn(message: string): void {
  process.stderr.write(`sumi: warning: ${oneLine(message)}\n`);
}

/** A line of news on stderr, unless --quiet. */
export function note(message: string, { quiet = false }: { quiet?: boolean } = {}): void {
  if (!quiet) process.stderr.write(`${oneLine(message)}\n`);
}

/** The one JSON object that --json promises on stdout. Infinite and NaN numbers are null, as JSON has it. */
export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Text for people, on stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** `sumi inspect x | head` closes our stdout early: that is no error, there is just nobody left to tell. */
export function endQuietlyWhenPipeCloses(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.done);
      throw error;
    });
  }
}
