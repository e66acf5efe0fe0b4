import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  keepNewestStates,
  latestState,
  loadState,
  saveState,
  stateDir,
  type TrainingState,
} from '../../src/checkpoint/state.js';
import { InputError } from '../../src/errors.js';
import { temporaryFolder } from './helpers.js';

const at = temporaryFolder();

function state(step: number): TrainingState {
  const values = Float32Array.from({ length: 1000 }, (_, i) => Math.fround(Math.sin(i + step)));
  return {
    arrays: {
      params: values,
      ema: values.map((x) => x / 2),
      m: new Float32Array(3),
      v: new Float32Array([1e-40]),
    },
    counters: {
      step,
      random: { seed: 7, counter: '18446744073709551615' },
      loss: Number.NaN,
      best: Number.POSITIVE_INFINITY,
    },
  };
}

/** Changes one byte in the middle of a file. */
async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length >> 1] ^= 1;
  await writeFile(path, bytes);
}

describe('training state', () => {
  it('comes back bit for bit', async () => {
    const dir = at('exact');
    await saveState(dir, state(3));
    const back = await loadState(dir);
    expect(back.arrays).toEqual(state(3).arrays);
    expect(back.counters).toEqual({ ...state(3).counters, loss: null });
  });

  it.each<[string, (dir: string) => Promise<void>, RegExp]>([
    [
      'a flipped bit in the arrays',
      (d) => flip(join(d, 'state.safetensors')),
      /state\.safetensors does not match/,
    ],
    ['arrays cut short', (d) => truncate(join(d, 'state.safetensors'), 999), /999 bytes of/],
    ['arrays gone', (d) => rm(join(d, 'state.safetensors')), /no such file/],
    ['counters gone', (d) => rm(join(d, 'state.json')), /no such file/],
    ['counters cut short', (d) => truncate(join(d, 'state.json'), 40), /not JSON/],
    [
      'counters changed',
      async (d) => {
        const path = join(d, 'state.json');
        await writeFile(path, (await readFile(path, 'utf8')).replace('"seed": 7', '"seed": 8'));
      },
      /state\.json does not match/,
    ],
    ['another version', (d) => writeFile(join(d, 'state.json'), '{"version": 99}'), /version 99, not 1/],
  ])('detects %s', async (name, damage, message) => {
    const dir = at(name.replaceAll(' ', '-'));
    await saveState(dir, state(1));
    await damage(dir);
    const error: Error = await loadState(dir).then(
      () => expect.fail('must be refused'),
      (e) => e,
    );
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(message);
  });
});

describe('latestState', () => {
  it('is null for a new run', async () => {
    await mkdir(at('new'));
    expect(await latestState(at('new'))).toBeNull();
  });

  it('picks the newest sound one and says what it skipped', async () => {
    const run = at('run');
    for (const step of [9, 10, 100]) await saveState(stateDir(run, step), state(step));
    await mkdir(join(run, 'checkpoints/.step-200.tmp-x'));
    await flip(join(stateDir(run, 100), 'state.safetensors'));
    const latest = (await latestState(run))!;
    expect(latest.step).toBe(10);
    expect(latest.state.counters.step).toBe(10);
    expect(latest.skipped.map(({ dir }) => dir)).toEqual([stateDir(run, 100)]);
    expect(latest.skipped[0].reason).toMatch(/does not match/);
  });

  it('refuses a run whose states are all damaged', async () => {
    const run = at('ruin');
    await saveState(stateDir(run, 1), state(1));
    await rm(join(stateDir(run, 1), 'state.json'));
    await expect(latestState(run)).rejects.toThrow(/none of the 1 training states/);
  });
});

describe('keepNewestStates', () => {
  it('keeps the newest sound ones', async () => {
    const run = at('many');
    for (const step of [1, 2, 3, 10]) await saveState(stateDir(run, step), state(step));
    await truncate(join(stateDir(run, 10), 'state.safetensors'), 10);
    expect(await keepNewestStates(run, 2)).toEqual([stateDir(run, 1)]);
    expect((await readdir(join(run, 'checkpoints'))).sort()).toEqual(['step-10', 'step-2', 'step-3']);
    await expect(keepNewestStates(run, 0)).rejects.toThrow(RangeError);
  });
});
