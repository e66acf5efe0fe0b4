/** Ctrl-C: the first asks the command to stop and keep what is done, the second ends it at once. */
import { EXIT, Interrupted } from './report.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs a command that can be stopped. The signal aborts at the first SIGINT or SIGTERM; the command should then
 * finish what it is in the middle of, write what it has and return (or throw the signal's reason). Either way the
 * process ends with exit code 130. A second SIGINT or SIGTERM kills it.
 * @param kill for tests; ends the process
 * @returns what `work` returned
 * @throws Interrupted when the work was stopped by throwing; other errors of `work` as they are
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  kill: (code: number) => void = (code) => process.exit(code),
): Promise<T> {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) return kill(EXIT.interrupted);
    process.stderr.write('\nsumi: stopping (once more to stop at once)\n');
    controller.abort(new Interrupted('stopped by the user'));
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    const result = await work(controller.signal);
    if (controller.signal.aborted) process.exitCode = EXIT.interrupted;
    return result;
  } catch (error) {
    const stopped = controller.signal.aborted && (error as Error | null)?.name === 'AbortError';
    throw stopped ? controller.signal.reason : error;
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal);
  }
}
