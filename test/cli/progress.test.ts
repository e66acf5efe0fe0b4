import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { bytes, count, duration } from '../../scripts/cli/format.js';
import { startProgress } from '../../scripts/cli/progress.js';

function stream(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const pass = new PassThrough();
  let written = '';
  pass.on('data', (chunk) => {
    written += chunk;
  });
  const columns = { isTTY, columns: 100, cursorTo() {}, moveCursor() {}, clearLine() {} };
  return { stream: Object.assign(pass, columns) as unknown as NodeJS.WriteStream, text: () => written };
}

describe('progress', () => {
  it('writes few plain lines to a log, and the last state always', () => {
    const { stream: s, text } = stream(false);
    const progress = startProgress({ label: 'train', total: 1000, stream: s });
    for (let step = 1; step <= 500; step++)
      progress.update(step, { loss: 0.123456, picturesPerSecond: 42.31 });
    expect(text()).toBe('');
    progress.note('saved checkpoints/step-500');
    progress.stop();
    progress.stop();
    expect(text()).toBe('saved checkpoints/step-500\ntrain 500/1000 · loss 0.1235 · 42.3 pictures/s\n');
  });

  it('logs as often as asked, with the time left', () => {
    const { stream: s, text } = stream(false);
    const progress = startProgress({ label: 'generate', total: 3, every: 0, stream: s });
    progress.update(1, { etaSeconds: 200 });
    progress.update(2);
    progress.update(3);
    progress.stop();
    const lines = text().trim().split('\n');
    expect(lines[0]).toBe('generate 1/3 · 3m 20s left');
    expect(lines[1]).toMatch(/^generate 2\/3 · \d+s left$/);
    expect(lines[2]).toBe('generate 3/3');
    expect(lines).toHaveLength(3);
  });

  it('draws a bar in a terminal', () => {
    const { stream: s, text } = stream(true);
    const progress = startProgress({ label: 'train', total: 4, stream: s });
    progress.update(2, { loss: 0.5 });
    progress.note('a note');
    progress.stop();
    expect(text()).toContain('train');
    expect(text()).toMatch(/2\/4 loss 0\.5000/);
    expect(text()).toContain('a note\n');
  });

  it('is silent with --quiet', () => {
    const { stream: s, text } = stream(true);
    const progress = startProgress({ label: 'train', total: 4, quiet: true, stream: s });
    progress.update(4);
    progress.note('x');
    progress.stop();
    expect(text()).toBe('');
  });
});

describe('numbers for people', () => {
  it('are short', () => {
    expect([0, 950, 12345, 6_470_000, 1.2e9].map(count)).toEqual(['0', '950', '12.3 k', '6.47 M', '1.2 G']);
    expect([512, 88916, 25.9e6].map(bytes)).toEqual(['512 B', '88.9 kB', '25.9 MB']);
    expect([0, 7, 200, 7500, Number.NaN].map(duration)).toEqual(['0s', '7s', '3m 20s', '2h 05m', '?']);
    expect([59.7, 3599.6].map(duration)).toEqual(['1m 00s', '1h 00m']);
  });
});
