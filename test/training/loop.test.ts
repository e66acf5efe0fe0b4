/** The loop on a problem of fifteen numbers: states, stops, lengths and disasters. */
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listStates, loadState, stateDir } from '../../src/checkpoint/index.js';
import { tf } from '../../src/engine/tf.js';
import { InputError, RunError } from '../../src/errors.js';
import { type LoopOptions, runStage, type Stage } from '../../src/training/loop.js';
import { quadraticStage } from './quadratic.js';

let folder: string;
let made = 0;
const fresh = () => join(folder, `run-${made++}`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sumi-loop-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Trains until a step is done, then asks to stop, as Ctrl-C does. */
function stopAt(stage: Stage, step: number, options: LoopOptions = {}) {
  const controller = new AbortController();
  return runStage(stage, {
    ...options,
    signal: controller.signal,
    onStep: (report) => report.step === step && controller.abort(),
  });
}

const state = async (dir: string) => {
  const [newest] = await listStates(dir);
  const { arrays, counters } = await loadState(newest.dir);
  return {
    counters,
    bytes: Object.entries(arrays).map(([name, a]) => [name, Buffer.from(a.buffer).toString('hex')]),
  };
};
const steps = async (dir: string): Promise<number[]> =>
  (await readFile(join(dir, 'metrics.jsonl'), 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).step);
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

describe('a stage', () => {
  it('trains, keeps its two newest states and publishes at each', async () => {
    const dir = fresh();
    const stage = quadraticStage(dir);
    const result = await runStage(stage);
    expect(result).toMatchObject({ step: 12, steps: 12, interrupted: false });
    expect(stage.published).toEqual([4, 8, 12]);
    expect((await listStates(dir)).map((s) => s.step)).toEqual([12, 8]);
    expect(await steps(dir)).toEqual(upTo(12));
    const line = JSON.parse((await readFile(join(dir, 'metrics.jsonl'), 'utf8')).split('\n')[3]);
    expect(Object.keys(line)).toEqual(['step', 'loss', 'gradNorm', 'learningRate', 'seconds', 'largest']);
  });

  it.each([1, 5, 8, 11])('gives the same bits when it is stopped at step %i and goes on', async (step) => {
    const [whole, parts] = [fresh(), fresh()];
    await runStage(quadraticStage(whole));
    const stopped = await stopAt(quadraticStage(parts), step);
    expect(stopped).toMatchObject({ step, interrupted: true });
    const resumed = await runStage(quadraticStage(parts));
    expect(resumed).toMatchObject({ step: 12, interrupted: false });
    expect((await state(parts)).bytes).toEqual((await state(whole)).bytes);
    expect(await steps(parts)).toEqual(upTo(12));
  });

  it('takes steps of several batches, and goes on with them bit for bit', async () => {
    const split = { batch_size: 1, gradient_accumulation_steps: 2 };
    const [together, whole, parts] = [fresh(), fresh(), fresh()];
    await runStage(quadraticStage(together));
    await runStage(quadraticStage(whole, split));
    await stopAt(quadraticStage(parts, split), 5);
    await runStage(quadraticStage(parts, split));
    expect((await state(parts)).bytes).toEqual((await state(whole)).bytes);
    const numbers = async (dir: string) => (await loadState(stateDir(dir, 12))).arrays.params;
    const [a, b] = [await numbers(together), await numbers(whole)];
    for (const [i, x] of a.entries()) expect(x).toBeCloseTo(b[i], 5);
    // What parts report is averaged: the largest error of both is not, but the mean of each one's.
    const line = async (dir: string) =>
      JSON.parse((await readFile(join(dir, 'metrics.jsonl'), 'utf8')).split('\n')[0]);
    const [of2, of1] = [await line(together), await line(whole)];
    expect(of1.loss).toBeCloseTo(of2.loss, 5);
    expect(of1.largest).toBeLessThan(of2.largest);
  });

  it('refuses steps of several batches on a device', async () => {
    const stage = quadraticStage(fresh(), { gradient_accumulation_steps: 2 });
    await expect(runStage(stage, { engine: 'webgpu' })).rejects.toThrow(
      /^gradients are not added up on the device — --engine webgpu — leave out --accumulate/,
    );
  });

  it('is done at once when it has been done before, and can be made longer', async () => {
    const dir = fresh();
    await runStage(quadraticStage(dir));
    const before = await state(dir);
    const seen: number[] = [];
    await runStage(quadraticStage(dir), { onStep: ({ step }) => seen.push(step) });
    expect(seen).toEqual([]);
    expect(await state(dir)).toEqual(before);
    // Settings alone do not lengthen a run: its own length is part of its state.
    await runStage(quadraticStage(dir, { steps: 14 }), { onStep: ({ step }) => seen.push(step) });
    expect(seen).toEqual([]);
    const longer = await runStage(quadraticStage(dir, { steps: 14 }), {
      newLength: true,
      onStep: ({ step }) => seen.push(step),
    });
    expect(seen).toEqual([13, 14]);
    expect(longer).toMatchObject({ step: 14, steps: 14 });
  });

  it('keeps the length it was given when a longer run is stopped and goes on', async () => {
    const dir = fresh();
    await runStage(quadraticStage(dir));
    await stopAt(quadraticStage(dir, { steps: 20 }), 15, { newLength: true });
    expect(await runStage(quadraticStage(dir))).toMatchObject({ step: 20, steps: 20 });
  });

  it('refuses a state of other data or another model', async () => {
    const dir = fresh();
    await runStage(quadraticStage(dir));
    const other = quadraticStage(dir, {}, { fingerprint: 'two' });
    await expect(runStage(other)).rejects.toThrow(/line's state was trained on other data .*step-12/);
    await expect(runStage(other)).rejects.toThrow(InputError);
  });
});

describe('damaged states', () => {
  it('are passed over for the one before, with a note, and the bits come out the same', async () => {
    const dir = fresh();
    await runStage(quadraticStage(dir));
    const whole = await state(dir);
    await truncate(join(stateDir(dir, 12), 'state.safetensors'), 100);
    const notes: string[] = [];
    const seen: number[] = [];
    await runStage(quadraticStage(dir), {
      onNote: (line) => notes.push(line),
      onStep: ({ step }) => seen.push(step),
    });
    expect(notes[0]).toMatch(/^skipped .*step-12: .*100 bytes of/);
    expect(seen).toEqual([9, 10, 11, 12]);
    expect((await state(dir)).bytes).toEqual(whole.bytes);
    expect(await steps(dir)).toEqual(upTo(12));
  });

  it('are refused when none is sound', async () => {
    const dir = fresh();
    await runStage(quadraticStage(dir));
    for (const { dir: each } of await listStates(dir)) await writeFile(join(each, 'state.json'), '{"ver');
    await expect(runStage(quadraticStage(dir))).rejects.toThrow(/none of the 2 training states can be used/);
  });
});

describe('a loss that is not a number', () => {
  it('ends the stage with a diagnosis in one line; the state before stays the newest', async () => {
    const dir = fresh();
    const stage = quadraticStage(dir, {}, { poison: 7 });
    const failure = await runStage(stage).catch((error: unknown) => error as Error);
    expect(failure).toBeInstanceOf(RunError);
    const { message } = failure as Error;
    expect(message).toMatch(
      /^the line's loss is not a number at step 7 \(step 6 had loss [\d.]+, gradient norm/,
    );
    expect(message).toMatch(/go on from step 4, whose state is sound, by --resume and a lower --lr/);
    expect(message).not.toContain('\n');
    expect((await listStates(dir)).map((s) => s.step)).toEqual([4]);
    expect(await steps(dir)).toEqual(upTo(6));
    // With the batch mended the run goes on from the state before, as if nothing had happened.
    const whole = fresh();
    await runStage(quadraticStage(whole));
    await runStage(quadraticStage(dir));
    expect((await state(dir)).bytes).toEqual((await state(whole)).bytes);
    expect(await steps(dir)).toEqual(upTo(12));
  });

  it('goes back to the newest state at half the learning rate, up to three times', async () => {
    const dir = fresh();
    const notes: string[] = [];
    const stage = quadraticStage(dir, { lr_scheduler: 'constant' }, { poison: 7, times: 2 });
    const result = await runStage(stage, { onNote: (line) => notes.push(line) });
    expect(result.step).toBe(12);
    expect(notes.filter((line) => line.includes('back to'))).toEqual([
      "the line's loss is not a number at step 7: back to step 4, learning rate times 0.5",
      "the line's loss is not a number at step 7: back to step 4, learning rate times 0.25",
    ]);
    expect(await steps(dir)).toEqual(upTo(12));
    const lines = (await readFile(join(dir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
    const rates = lines.map((line) => JSON.parse(line).learningRate as number);
    expect(rates[6] / rates[3]).toBeCloseTo(0.25, 6);
    expect((await state(dir)).counters.rate_scale).toBe(0.25);
    // Who goes on keeps the rate.
    await runStage(quadraticStage(dir, { lr_scheduler: 'constant', steps: 14 }), { newLength: true });
    const last = JSON.parse((await readFile(join(dir, 'metrics.jsonl'), 'utf8')).trim().split('\n')[13]);
    expect(last).toMatchObject({ step: 14, learningRate: rates[11] });
  });

  it('is overcome from the start where there is no state yet', async () => {
    const dir = fresh();
    const result = await runStage(quadraticStage(dir, {}, { poison: 2, times: 1 }));
    expect(result.step).toBe(12);
    expect(await steps(dir)).toEqual(upTo(12));
  });

  it('at the first step leaves no state behind', async () => {
    const dir = fresh();
    await expect(runStage(quadraticStage(dir, {}, { poison: 1 }))).rejects.toThrow(
      /at step 1 \(it was the first step\) .* go on from the start/,
    );
    expect(await listStates(dir)).toEqual([]);
    await runStage(quadraticStage(dir));
    expect((await state(dir)).counters.step).toBe(12);
  });

  it('is found in the weights as well, before they are saved or published', async () => {
    const dir = fresh();
    // One step whose loss is fine, and whose update is not.
    const stage = quadraticStage(dir, { steps: 1, learning_rate: 1e42, lr_scheduler: 'constant' });
    await expect(runStage(stage)).rejects.toThrow(/weights are not numbers at step 1/);
    expect(await listStates(dir)).toEqual([]);
    expect(stage.published).toEqual([]);
  });
});

describe('a run by minutes', () => {
  it('is as long as a clock says that is not the wall’s', async () => {
    let seconds = 0;
    const result = await runStage(quadraticStage(fresh(), { steps: 1000 }), {
      minutes: 1,
      clock: () => seconds,
      onStep: () => {
        seconds += 2;
      },
    });
    // After 6 steps (10 s on this clock: the sixth is not counted yet) there are 47 s of 95 % of a minute left.
    expect(result.steps).toBe(6 + 23);
    expect(result.step).toBe(29);
  });

  it('finds its length from its pace and keeps it when it goes on', async () => {
    const dir = fresh();
    const stage = quadraticStage(dir, { steps: 1e6, checkpoint_every: 1e6 });
    const stopped = await stopAt(stage, 8, { minutes: 0.02 });
    // The six steps that measure the pace, and at least one more.
    expect(stopped.steps).toBeGreaterThanOrEqual(7);
    expect(stopped.steps).toBeLessThan(1e6);
    expect((await state(dir)).counters.steps).toBe(stopped.steps);
    // Going on, the minutes of the beginning change nothing.
    const resumed = await runStage(stage, { minutes: 5 });
    expect(resumed).toMatchObject({ step: stopped.steps, steps: stopped.steps });
  });

  it('that was stopped before it knew its pace finds it when it goes on', async () => {
    const dir = fresh();
    const stage = quadraticStage(dir, { steps: 1e6, checkpoint_every: 1e6 });
    expect(await stopAt(stage, 3, { minutes: 0.01 })).toMatchObject({ interrupted: true });
    const resumed = await runStage(stage, { minutes: 0.005 });
    expect(resumed.steps).toBeLessThan(1e6);
    expect(resumed.step).toBe(resumed.steps);
  });

  it.each([
    [1, /so 29 steps in 1 minutes; each of 1 pictures is seen \d\d times$/],
    [1000, /; each of 1000 pictures is seen 0\.\d times, which is little: give more minutes/],
  ])('says what to expect of it, with %d pictures', async (pictures, expected) => {
    let seconds = 0;
    const notes: string[] = [];
    await runStage(
      { ...quadraticStage(fresh()), pictures },
      {
        minutes: 1,
        clock: () => seconds,
        onStep: () => {
          seconds += 2;
        },
        onNote: (line) => notes.push(line),
      },
    );
    expect(notes.find((line) => line.includes('minutes'))).toMatch(expected);
  });

  it('can be given more minutes', async () => {
    const dir = fresh();
    await runStage(quadraticStage(dir));
    const stage = quadraticStage(dir, { checkpoint_every: 1e6 });
    const more = await runStage(stage, { minutes: 0.005, newLength: true });
    expect(more.step).toBeGreaterThan(18);
    expect(more.step).toBe(more.steps);
  });
});

describe('memory', () => {
  it.each(['onnx', 'cpu'] as const)(
    'holds no more tensors after 300 steps than after 20 (%s)',
    async (engine) => {
      const counts: number[] = [];
      await runStage(quadraticStage(fresh(), { steps: 300, checkpoint_every: 1000 }), {
        engine,
        onStep: () => counts.push(tf.memory().numTensors + tf.memory().numDataBuffers),
      });
      expect(counts.length).toBe(300);
      expect(counts[299]).toBe(counts[20]);
    },
  );
});

it('leaves no temporary files', async () => {
  const dir = fresh();
  await runStage(quadraticStage(dir));
  const names = await readdir(dir, { recursive: true });
  expect(names.filter((name) => name.includes('tmp') || name.includes('.old'))).toEqual([]);
});
