/** What `npm run bench:backends` says of what it found. */
import { describe, expect, it } from 'vitest';
import { byteDifference } from '../../bench/backends/checks.js';
import { summary } from '../../bench/backends/report.js';
import type { Line } from '../../bench/backends/worker.js';

const line = (check: string, error: number | undefined, tolerance = 1e-5): Line => ({
  check,
  error,
  tolerance,
  seconds: 2,
  where: 'somewhere',
});

describe('the line of a backend', () => {
  it('names the largest error of each check', () => {
    const lines = [line('operations', 3.41e-7), line('picture', 1, 1)];
    expect(summary({ backend: 'webgpu', lines, crash: null })).toEqual({
      text: 'webgpu: ran — max error against CPU: operations 3.4e-7; picture 1 — 4 s',
      passed: true,
    });
  });

  it('says why a backend is not here, which is no failure', () => {
    const lines = [{ absent: 'engine cuda — no driver — install it' }];
    expect(summary({ backend: 'cuda', lines, crash: null })).toEqual({
      text: 'cuda: not present (no driver — install it)',
      passed: true,
    });
  });

  it.each([
    ['an error beyond its tolerance', [line('operations', 1e-3)], null, /error 1\.0e-3 \(somewhere\)/],
    ['a check that did not run', [line('operations', undefined)], null, /operations: somewhere/],
    ['a number that is none', [line('operations', Number.NaN)], null, /error NaN/],
    ['a process that died', [line('operations', 0)], 'ended by SIGABRT', /ended by SIGABRT/],
    ['nothing at all', [], null, /no check ran/],
  ])('fails for %s', (_, lines, crash, told) => {
    const { text, passed } = summary({ backend: 'webgpu', lines, crash });
    expect(passed).toBe(false);
    expect(text).toMatch(/^webgpu: FAILED — /);
    expect(text).toMatch(told);
  });
});

it('compares pictures byte by byte', () => {
  expect(byteDifference([1, 2, 3, 9], [1, 4, 3, 8])).toEqual({ error: 2, where: '2 of 4 bytes differ' });
  expect(byteDifference([1, 2], [1, 2, 3]).error).toBe(Number.POSITIVE_INFINITY);
});
