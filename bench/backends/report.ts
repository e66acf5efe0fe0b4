/** One line of what was found of a backend. */
import type { Line } from './worker.js';

export interface Outcome {
  readonly backend: string;
  readonly lines: readonly Line[];
  /** How its process ended, when not by itself. */
  readonly crash: string | null;
}

/** Short and readable: 0, 1 and 3.4e-7. */
const short = (x: number): string => (Number.isInteger(x) ? String(x) : x.toExponential(1));

/**
 * `ran`, `not present` or `FAILED`, with the largest errors.
 * @returns the line, and whether it is no failure
 */
export function summary({ backend, lines, crash }: Outcome): { text: string; passed: boolean } {
  const absent = lines.find((line) => 'absent' in line);
  if (absent) {
    const reason = absent.absent.replace(/^engine \w+ — /, '');
    return { text: `${backend}: not present (${reason})`, passed: true };
  }
  const done = lines.filter((line) => 'check' in line);
  const wrong = done.filter(({ error, tolerance }) => error === undefined || !(error <= tolerance));
  const troubles = wrong.map(({ check, error, where }) =>
    error === undefined ? `${check}: ${where}` : `${check}: error ${short(error)} (${where})`,
  );
  if (crash) troubles.push(crash);
  if (done.length === 0 && !crash) troubles.push('no check ran');
  const errors = done
    .filter((line) => !wrong.includes(line))
    .map(({ check, error = 0 }) => `${check} ${short(error)}`);
  const seconds = done.reduce((sum, line) => sum + line.seconds, 0);
  const fine = errors.length > 0 ? `max error against CPU: ${errors.join('; ')}` : '';
  const parts = [...troubles, ...(fine ? [fine] : []), `${seconds.toFixed(0)} s`];
  return {
    text: `${backend}: ${troubles.length > 0 ? 'FAILED' : 'ran'} — ${parts.join(' — ')}`,
    passed: troubles.length === 0,
  };
}
