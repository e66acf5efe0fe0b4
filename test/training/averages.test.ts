/** Averages of the weights that are kept, and others that are made of them afterwards. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { listStates, loadState, readPipelineDir, readSafetensors } from '../../src/checkpoint/index.js';
import { makeStyleDataset } from '../../src/data/index.js';
import { InputError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { Averages, readSnapshots, snapshotSteps } from '../../src/training/averages.js';
import {
  averageRun,
  parseTrainConfig,
  presetConfig,
  resumeTraining,
  runStage,
  train,
} from '../../src/training/index.js';
import { combine, decayBetween, gammaOf, WIDEST, widthOf } from '../../src/training/power-ema.js';
import { capture } from '../cli/capture.js';
import { temporaryFolder } from '../pipelines/tiny.js';
import { quadraticStage } from './quadratic.js';

const at = temporaryFolder();

describe('a power function', () => {
  it('has the width that was asked for, and the exponents of the paper', () => {
    expect(gammaOf(0.05)).toBeCloseTo(16.97, 2);
    expect(gammaOf(0.1)).toBeCloseTo(6.94, 2);
    expect(gammaOf(WIDEST)).toBeCloseTo(0, 6);
    for (const width of [0.01, 0.07, 0.2]) {
      const gamma = gammaOf(width);
      expect(widthOf(gamma)).toBeCloseTo(width, 12);
      // The standard deviation of the density (γ + 1) s^γ on [0, 1], by the midpoint rule.
      const points = Array.from({ length: 20_000 }, (_, i) => (i + 0.5) / 20_000);
      const moment = (k: number) =>
        points.reduce((sum, s) => sum + (gamma + 1) * s ** (gamma + k), 0) / points.length;
      expect(Math.sqrt(moment(2) - moment(1) ** 2)).toBeCloseTo(width, 4);
    }
    for (const width of [0, -1, 0.3, Number.NaN]) expect(() => gammaOf(width)).toThrow(InputError);
  });

  it('decays over steps by the product of their decays', () => {
    let product = 1;
    for (let t = 101; t <= 108; t++) product *= (1 - 1 / t) ** 8;
    expect(decayBetween(7, 100, 108)).toBeCloseTo(product, 12);
    expect(decayBetween(7, 0, 8)).toBe(0);
  });
});

/** Weights that learn, then wander: six numbers over the steps. */
function weights(steps: number): Float32Array[] {
  const random = new Random(3);
  const wander = new Float64Array(6);
  return Array.from({ length: steps }, (_, t) => {
    const moves = random.fork('move', t).normal(6);
    return Float32Array.from(wander, (_, i) => {
      wander[i] += 0.005 * moves[i];
      return 1 - Math.exp(-t / (100 + 100 * i)) + wander[i];
    });
  });
}

/** θ̂_t = β_t θ̂_(t-1) + (1 − β_t) θ_t with β_t = (1 − 1/t)^(γ + 1), at the last of the steps. */
function direct(sequence: readonly Float32Array[], width: number): number[] {
  const average = new Array<number>(6).fill(0);
  for (const [i, now] of sequence.entries()) {
    const decay = (1 - 1 / (i + 1)) ** (gammaOf(width) + 1);
    for (let k = 0; k < 6; k++) average[k] = decay * average[k] + (1 - decay) * now[k];
  }
  return average;
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i])));

describe('an average made afterwards', () => {
  const sequence = weights(960);
  const made = async (width: number, step: number) => {
    const kept = (
      await Promise.all((await snapshotSteps(at('toy'))).map((s) => readSnapshots(at('toy'), s)))
    ).flat();
    const profiles = kept.map((each) => ({ gamma: gammaOf(each.width), step: each.step }));
    const { multipliers, error } = combine(profiles, { gamma: gammaOf(width), step });
    const values = Array.from({ length: 6 }, (_, k) =>
      kept.reduce((sum, each, i) => sum + multipliers[i] * each.values[k], 0),
    );
    return { values, error, multipliers };
  };

  beforeAll(async () => {
    const averages = Averages.open(at('toy'), [0.05, 0.1], 6, 0);
    for (const [i, now] of sequence.entries()) {
      await averages.follow(i + 1, async () => now);
      if ((i + 1) % 40 === 0) await averages.store(40);
    }
    // What is followed every eighth step is what a direct average gives.
    for (const [k, width] of [0.05, 0.1].entries())
      expect(distance(Object.values(averages.arrays)[k], direct(sequence, width))).toBeLessThan(0.005);
  });

  it('keeps twelve snapshots, evenly over the run', async () => {
    expect(await snapshotSteps(at('toy'))).toEqual(Array.from({ length: 12 }, (_, i) => 80 * (i + 1)));
  });

  it.each([
    [0.05, 960, 0.005],
    [0.08, 960, 0.005],
    [0.15, 960, 0.01],
    [0.2, 960, 0.02],
    [0.08, 800, 0.005],
  ])('is what a direct one of width %f at step %i is', async (width, step, tolerance) => {
    const { values, error, multipliers } = await made(width, step);
    expect(distance(values, direct(sequence.slice(0, step), width))).toBeLessThan(tolerance);
    expect(error).toBeLessThan(0.15);
    expect(multipliers.reduce((a, b) => a + b)).toBeCloseTo(1, 8);
    // The weights themselves are elsewhere.
    expect(distance(values, sequence[step - 1])).toBeGreaterThan(tolerance);
  });

  it('says how far it is from what was asked for', async () => {
    expect((await made(0.1, 960)).error).toBeLessThan(1e-6);
    expect((await made(0.08, 960)).error).toBeLessThan(0.01);
    expect((await made(0.01, 960)).error).toBeGreaterThan(0.3);
  });
});

describe('a stage that keeps averages', () => {
  const change = { ema_widths: [0.05, 0.1], steps: 40, checkpoint_every: 16 };
  const bytes = async (dir: string) => {
    const [newest] = await listStates(dir);
    const { arrays } = await loadState(newest.dir);
    const snapshots = (await snapshotSteps(dir)).map((step) =>
      join(dir, 'averages', `step-${step}.safetensors`),
    );
    return [
      ...Object.entries(arrays).map(([name, a]) => [name, Buffer.from(a.buffer).toString('hex')]),
      ...(await Promise.all(
        snapshots.map(async (path) => [path.slice(dir.length), await readFile(path, 'hex')]),
      )),
    ];
  };

  it('gives the same bits when it is stopped and goes on, and the same weights as without', async () => {
    const [whole, parts, without] = ['whole', 'parts', 'without'].map((name) => at(name));
    await runStage(quadraticStage(whole, change));
    for (const step of [13, 27]) {
      const controller = new AbortController();
      const onStep = (report: { step: number }) => report.step === step && controller.abort();
      await runStage(quadraticStage(parts, change), { signal: controller.signal, onStep });
    }
    await runStage(quadraticStage(parts, change));
    const states = await bytes(whole);
    expect(await bytes(parts)).toEqual(states);
    expect(states.map(([name]) => name)).toEqual(
      expect.arrayContaining([
        'average 0.05',
        'average 0.1',
        '/averages/step-16.safetensors',
        '/averages/step-40.safetensors',
      ]),
    );
    await runStage(quadraticStage(without, { ...change, ema_widths: [] }));
    const plain = await bytes(without);
    expect(plain.map(([name]) => name).sort()).toEqual(['ema', 'm', 'params', 'v']);
    expect(states).toEqual(expect.arrayContaining(plain));
  });

  it('refuses a state that has none of them', async () => {
    await expect(runStage(quadraticStage(at('without'), { ...change, ema_widths: [0.2] }))).rejects.toThrow(
      /no average of width 0.2 — .* — go on with the ema_widths that the run began with/,
    );
  });

  it('goes back with the weights when the loss is no number', async () => {
    const [poisoned, halved] = [at('poisoned'), at('halved')];
    await runStage(quadraticStage(poisoned, change, { poison: 20, times: 1 }));
    // The learning rate is halved from step 17 on: before, all is alike.
    await runStage(quadraticStage(halved, change));
    const first = async (dir: string) => (await readSnapshots(dir, 16)).map(({ values }) => [...values]);
    expect(await first(poisoned)).toEqual(await first(halved));
    expect(await snapshotSteps(poisoned)).toEqual([16, 32, 40]);
  });
});

describe('sumi average', () => {
  const sumi = (...words: string[]) => capture(() => main(['average', ...words], commands));
  const small = presetConfig('tiny').diffusion.model;
  const diffusion = {
    model: { ...small, block_out_channels: [8, 16], norm_num_groups: 4 },
    batch_size: 2,
    steps: 24,
    checkpoint_every: 12,
    learning_rate: 0.01,
    loss_weighting: 'learned' as const,
    ema_widths: [0.05, 0.1],
  };
  const config = parseTrainConfig({ size: 16, diffusion, sampling: { steps: 2 } }, 'test');
  const unet = async (dir: string) => {
    const { tensors } = await readSafetensors((await readPipelineDir(dir)).unet.weights);
    return Object.fromEntries([...tensors].map(([name, { data }]) => [name, [...(data as Float32Array)]]));
  };
  beforeAll(async () => {
    await makeStyleDataset('shapes', { out: at('data'), size: 16, count: 6, seed: 1 });
    await train({ data: at('data'), out: at('run'), config, threads: 1 });
  }, 60_000);

  it('publishes an average, without what was trained beside the network', async () => {
    const before = await unet(at('run'));
    const { value, stderr } = await sumi(at('run'), '--width', '0.1', '--out', at('tenth'));
    expect(stderr).toContain('the average is 0.0 % off');
    expect(value).toBe(0);
    const made = await unet(at('tenth'));
    expect(Object.keys(made)).toEqual(Object.keys(before));
    expect(made).not.toEqual(before);
    const [, kept] = await readSnapshots(at('run'), 24);
    const flat = Object.values(made).flat().sort();
    // The table of the learned weights comes last.
    const stored = [...kept.values.slice(0, -16)].sort();
    expect(distance(flat, stored)).toBeLessThan(1e-5);
    expect((await readPipelineDir(at('tenth'))).sumi.recipe).toMatchObject({
      average: { width: 0.1, step: 24 },
    });
  });

  it('goes on bit for bit after a stop, with learned weights', async () => {
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 11 && controller.abort();
    await train({
      data: at('data'),
      out: at('again'),
      config,
      threads: 1,
      signal: controller.signal,
      onStep,
    });
    await resumeTraining({ run: at('again'), threads: 1 });
    const newest = async (dir: string) => (await loadState((await listStates(dir))[0].dir)).arrays;
    expect(await newest(at('again'))).toEqual(await newest(at('run')));
    expect(await unet(at('again'))).toEqual(await unet(at('run')));
  });

  it('measures several and publishes the best, or leaves the model', async () => {
    const before = await unet(at('run'));
    const result = await averageRun({
      run: at('run'),
      widths: [0.05, 0.1],
      count: 8,
      out: at('best'),
      threads: 1,
    });
    expect(result.averages.map(({ width }) => width)).toEqual([0.05, 0.1, null]);
    const kids = result.averages.map(({ kid }) => kid as number);
    const best = result.averages[kids.indexOf(Math.min(...kids))].width;
    expect(result.published).toBe(best);
    expect(new Set(kids).size).toBe(3);
    expect((await readdir(at('run', 'averages'))).filter((name) => !name.endsWith('.safetensors'))).toEqual(
      [],
    );
    expect(await unet(at('run'))).toEqual(before);
  }, 60_000);

  it.each([
    [['--width', '0.5'], /0.5 is no width/],
    [['--width', 'x'], /"x" is no list of numbers/],
    [['--width', '0.1', '--at', '5000'], /step 5000 was not kept .* give one of 8, 24/],
    [['--width', '0.1,0.05', '--count', '0'], /0 is not possible — --count/],
  ])('refuses %s', async (words, message) => {
    const { value, stderr } = await sumi(at('run'), ...words);
    expect(stderr).toMatch(message);
    expect(value).toBe(2);
  });

  it('refuses a run that kept none', async () => {
    const { value, stderr } = await sumi(at('whole'), '--width', '0.1');
    expect(stderr).toMatch(/config.json/);
    expect(value).toBe(2);
    await expect(averageRun({ run: at('data'), widths: [0.1] })).rejects.toThrow(InputError);
  });
});
