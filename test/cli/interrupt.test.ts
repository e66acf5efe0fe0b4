import { afterEach, describe, expect, it } from 'vitest';
import { interruptible } from '../../scripts/cli/interrupt.js';
import { exitCodeOf, Interrupted } from '../../scripts/cli/report.js';
import { capture } from './capture.js';

afterEach(() => {
  process.exitCode = undefined;
});

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));

describe('interruptible', () => {
  it('lets the work finish cleanly and ends with 130', async () => {
    const before = process.listenerCount('SIGINT');
    const { value, stderr } = await capture(() =>
      interruptible(async (signal) => {
        setTimeout(() => process.emit('SIGINT'), 1);
        await untilAborted(signal);
        return 'kept';
      }),
    );
    expect(value).toBe('kept');
    expect(stderr).toMatch(/stopping/);
    expect(process.exitCode).toBe(130);
    expect(process.listenerCount('SIGINT')).toBe(before);
  });

  it('ends with 130 when the work throws its signal’s reason or an AbortError', async () => {
    for (const thrown of ['reason', 'AbortError']) {
      const { value: error } = await capture(() =>
        interruptible(async (signal) => {
          setTimeout(() => process.emit('SIGTERM'), 1);
          await untilAborted(signal);
          throw thrown === 'reason' ? signal.reason : new DOMException('stopped', 'AbortError');
        }).catch((e: unknown) => e),
      );
      expect(error).toBeInstanceOf(Interrupted);
      expect(exitCodeOf(error)).toBe(130);
    }
  });

  it('kills at the second signal', async () => {
    const killed: number[] = [];
    await capture(() =>
      interruptible(
        async (signal) => {
          setTimeout(() => process.emit('SIGINT'), 1);
          await untilAborted(signal);
          process.emit('SIGINT');
        },
        (code) => killed.push(code),
      ),
    );
    expect(killed).toEqual([130]);
  });

  it('is invisible when nothing happens', async () => {
    const { value, stderr } = await capture(() => interruptible(async () => 3));
    expect([value, stderr, process.exitCode]).toEqual([3, '', undefined]);
    await expect(interruptible(() => Promise.reject(new Error('own')))).rejects.toThrow('own');
  });
});
