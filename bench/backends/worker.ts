/**
 * Checks one engine for run.ts, in a process of its own: native libraries that fail may end it.
 *
 *   node --import tsx bench/backends/worker.ts ENGINE [PART OF A CHECK'S NAME]
 */
import type { Engine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { checks } from './checks.js';

/** What a line of the worker's output says. */
export type Line =
  | { readonly absent: string }
  | {
      readonly check: string;
      readonly tolerance: number;
      readonly seconds: number;
      readonly error?: number;
      readonly where: string;
    };

const say = (line: Line) => console.log(JSON.stringify(line));
const [engine, only = ''] = process.argv.slice(2) as [Engine, string?];
const wanted = checks.filter(({ name, trains }) => name.includes(only) && !(trains && engine === 'wasm'));
for (const { name, tolerance, run } of wanted) {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  try {
    const { error, where } = await run(engine);
    say({ check: name, tolerance, error, where, seconds: seconds() });
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    // The first thing to start says whether the backend is here at all.
    if (error instanceof InputError) {
      say({ absent: line });
      break;
    }
    say({ check: name, tolerance, where: line, seconds: seconds() });
  }
}
