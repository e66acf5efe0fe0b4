import { vi } from 'vitest';

/** Runs something and gives what it wrote. */
export async function capture<T>(
  work: () => Promise<T> | T,
): Promise<{ value: T; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
  // yargs prints help through console.log, which vitest keeps to itself.
  const log = vi.spyOn(console, 'log').mockImplementation((text) => {
    stdout += `${text}\n`;
  });
  const logError = vi.spyOn(console, 'error').mockImplementation((text) => {
    stderr += `${text}\n`;
  });
  try {
    const value = await work();
    return { value, stdout, stderr };
  } finally {
    for (const spy of [out, err, log, logError]) spy.mockRestore();
  }
}
