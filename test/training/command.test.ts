/** `sumi train`: what it refuses, how it stops, what it leaves. Bad input is tried within this process, stops on real ones. */
import { type ChildProcess, spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { listStates, loadState, readPipelineDir } from '../../src/checkpoint/index.js';
import { makeStyleDataset } from '../../src/data/index.js';
import { resumeTraining } from '../../src/training/index.js';
import { capture } from '../cli/capture.js';
import { png, write } from '../data/helpers.js';

let folder: string;
let data: string;
/** A network of a few thousand weights on 8×8 pixels. */
let config: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sumi-command-'));
  data = join(folder, 'shapes');
  await makeStyleDataset('shapes', { out: data, size: 16, count: 8, seed: 1 });
  config = join(folder, 'small.json');
  const model = {
    block_out_channels: [8, 16],
    down_block_types: ['DownBlock2D', 'DownBlock2D'],
    up_block_types: ['UpBlock2D', 'UpBlock2D'],
    layers_per_block: 1,
    norm_num_groups: 4,
    add_attention: false,
  };
  await writeFile(
    config,
    JSON.stringify({
      preset: 'tiny',
      size: 8,
      diffusion: { model, batch_size: 2, steps: 4 },
      sampling: { steps: 2 },
    }),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const sumi = async (...words: string[]) => {
  process.exitCode = undefined;
  const result = await capture(() => main(['train', ...words], commands));
  process.exitCode = undefined;
  return result;
};
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

async function refused(words: string[], message: RegExp, code = 2): Promise<void> {
  const { value, stdout, stderr } = await sumi(...words, '--quiet');
  expect(stderr).toMatch(message);
  expect(stderr.trim().split('\n'), 'one line').toHaveLength(1);
  expect(stderr).not.toContain('internal');
  expect(stdout).toBe('');
  expect(value).toBe(code);
}

describe('sumi train', () => {
  it('trains by a settings file and says so in JSON', async () => {
    const out = join(folder, 'json');
    const { value, stdout } = await sumi(
      '--data',
      data,
      '--out',
      out,
      '--config',
      config,
      '--json',
      '--quiet',
    );
    expect(value).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      run: out,
      model: join(out, 'model'),
      engine: 'onnx',
      pictures: 32,
      skipped: 0,
      labels: ['circle', 'square', 'star', 'triangle'],
      interrupted: false,
      stages: [{ stage: 'diffusion', step: 4, steps: 4 }],
    });
    expect((await readPipelineDir(join(out, 'model'))).unet.config.block_out_channels).toEqual([8, 16]);
    expect(await exists(join(out, 'run.lock'))).toBe(false);
  });

  it('lets options overrule the file, key by key', async () => {
    const out = join(folder, 'options');
    const words = [
      '--size',
      '12',
      '--batch',
      '3',
      '--accumulate',
      '2',
      '--steps',
      '2',
      '--lr',
      '0.01',
      '--seed',
      '9',
      '--flip',
    ];
    const { value } = await sumi('--data', data, '--out', out, '--config', config, '--quiet', ...words);
    expect(value).toBe(0);
    const saved = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
    expect(saved.config).toMatchObject({
      size: 12,
      seed: 9,
      augment: { flip: true, shift: 0 },
      diffusion: {
        batch_size: 3,
        gradient_accumulation_steps: 2,
        steps: 2,
        learning_rate: 0.01,
        ema_decay: 0.95,
      },
    });
  });

  it('makes do with one picture, fewer than a batch, long ones and a batch of one', async () => {
    const odd = await write(join(folder, 'odd'), {
      'long.png': await png('#c03030', 3000, 30),
      'tall.png': await png('#3030c0', 30, 3000),
      'broken.png': 'not a picture',
    });
    const one = await write(join(folder, 'one'), { 'one.png': await png('#308030') });
    for (const [from, batch, steps] of [
      [odd, '16', '2'],
      [one, '1', '1'],
    ]) {
      const out = join(folder, `odd-${batch}`);
      const words = ['--config', config, '--batch', batch, '--steps', steps, '--json', '--quiet'];
      const { value, stdout } = await sumi('--data', from, '--out', out, ...words);
      expect(value).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        pictures: from === odd ? 2 : 1,
        skipped: from === odd ? 1 : 0,
      });
      expect(Number.isFinite(JSON.parse(stdout).stages[0].loss)).toBe(true);
    }
    await refused(
      ['--data', odd, '--out', join(folder, 'strict'), '--config', config, '--strict'],
      /^sumi: not a picture that Sumi can read — .*broken\.png — /,
    );
  });

  it('takes labels from metadata.jsonl, with some pictures that have none', async () => {
    const lines = [0, 1, 2].map((i) =>
      JSON.stringify({ file_name: `${i}.png`, ...(i < 2 && { label: `l${i}` }) }),
    );
    const files = { '0.png': await png('#f00'), '1.png': await png('#0f0'), '2.png': await png('#00f') };
    const from = await write(join(folder, 'labelled'), { ...files, 'metadata.jsonl': lines.join('\n') });
    const out = join(folder, 'labelled-run');
    const { value, stderr } = await sumi('--data', from, '--out', out, '--config', config, '--steps', '2');
    expect(value).toBe(0);
    expect(stderr).toMatch(/pictures without a label are trained on as unlabelled ones/);
    const { sumi: own } = await readPipelineDir(join(out, 'model'));
    expect(own).toMatchObject({ labels: ['l0', 'l1'], null_label: 2 });
  });
});

describe('sumi train refuses, in one line and before anything is written,', () => {
  const out = () => join(folder, 'never');
  const base = () => ['--data', data, '--out', out(), '--config', config];
  const bad = async (name: string, content: string) => {
    const path = join(folder, `${name}.json`);
    await writeFile(path, content);
    return ['--data', data, '--out', out(), '--config', path];
  };
  afterAll(async () => expect(await exists(out())).toBe(false));

  it.each<[string, () => string[] | Promise<string[]>, RegExp]>([
    ['no data', () => ['--out', out()], /a folder of pictures and a run directory are needed/],
    ['a folder that is not there', () => ['--data', join(folder, 'no'), '--out', out()], /no such folder/],
    [
      'an empty folder',
      async () => {
        await mkdir(join(folder, 'empty'), { recursive: true });
        return ['--data', join(folder, 'empty'), '--out', out()];
      },
      /no pictures in the folder/,
    ],
    ['steps of 0', () => [...base(), '--steps', '0'], /0 is no use — --steps — give a whole number/],
    ['half a picture a step', () => [...base(), '--batch', '1.5'], /--batch/],
    ['no batch a step', () => [...base(), '--accumulate', '0'], /0 is no use — --accumulate/],
    ['minutes of 0', () => [...base(), '--minutes', '0'], /--minutes/],
    ['steps and minutes', () => [...base(), '--minutes', '1', '--steps', '2'], /exclude each other/],
    ['an unknown preset', () => ['--data', data, '--out', out(), '--preset', 'huge'], /--preset/],
    ['a size that does not fit', () => [...base(), '--size', '9'], /size 9 is not a multiple of 2/],
    ['a stage that is not there', () => [...base(), '--stage', 'autoencoder'], /has no autoencoder/],
    [
      'a file that is not there',
      () => ['--data', data, '--out', out(), '--config', 'no.json'],
      /cannot read.*no\.json/,
    ],
    ['a file that is no JSON', () => bad('text', '{"size": '), /not a JSON object — .*text\.json/],
    ['a list of settings', () => bad('list', '[]'), /not a JSON object/],
    ['an unknown setting', () => bad('unknown', '{"preset":"tiny","epochs":3}'), /epochs: .*unknown\.json/],
    [
      'a preset in the file that is unknown',
      () => bad('huge', '{"preset":"huge"}'),
      /preset huge is unknown/,
    ],
    [
      'an augmentation that is no object',
      () => bad('augment', '{"preset":"tiny","augment":5}'),
      /^sumi: augment: /,
    ],
    [
      'a shift wider than the picture',
      () => bad('shift', '{"preset":"tiny","augment":{"shift":50}}'),
      /shift of 50/,
    ],
    [
      'a beta of 1.5',
      () => bad('beta', '{"preset":"tiny","diffusion":{"beta_end":1.5}}'),
      /beta_end is 1\.5/,
    ],
    ['a colour that is none', () => [...base(), '--background', 'nocolour'], /no such colour/],
    ['an engine that is not installed', () => [...base(), '--engine', 'tensorflow'], /engine tensorflow/],
    [
      'an autoencoder that is none',
      () => ['--data', data, '--out', out(), '--preset', 'small', '--autoencoder', folder],
      /^sumi: /,
    ],
    [
      'a run among its pictures',
      () => ['--data', data, '--out', join(data, 'run')],
      /among its own pictures/,
    ],
    [
      'settings for a run that has its own',
      () => ['--resume', folder, '--batch', '3'],
      /a run keeps its own settings — --batch/,
    ],
    ['a run that is none', () => ['--resume', data], /no such file or folder — .*config\.json/],
  ])('%s', async (_, words, message) => {
    await refused(await words(), message);
  });

  it('and fails in one line, exit 1, when training diverges', async () => {
    const out = join(folder, 'diverges');
    const path = join(folder, 'diverges.json');
    const settings = JSON.parse(await readFile(config, 'utf8'));
    Object.assign(settings.diffusion, { lr_scheduler: 'constant', max_grad_norm: 0 });
    await writeFile(path, JSON.stringify(settings));
    const words = ['--data', data, '--out', out, '--config', path, '--lr', '1e30'];
    await refused(words, /^sumi: the diffusion's \w+ (is not a number|are not numbers) at step \d/, 1);
    expect(await exists(join(out, 'run.lock'))).toBe(false);
    expect(await exists(join(out, 'model'))).toBe(false);
  });
});

describe('a real process', () => {
  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  /** Starts a long training; resolves when it has made some steps. */
  async function start(run: string, words: string[]) {
    const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/sumi.ts', 'train', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const end = new Promise<{ code: number | null; signal: string | null; stderr: string }>((resolve) =>
      child.on('exit', (code, signal) => resolve({ code, signal, stderr })),
    );
    const had = await stepsIn(run);
    while ((await stepsIn(run)) < had + 20 && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(child.exitCode, stderr).toBeNull();
    return { child, end };
  }
  const stepsIn = async (run: string) =>
    (await readFile(join(run, 'metrics.jsonl'), 'utf8').catch(() => ''))
      .split('\n')
      .filter((line) => line.includes('"loss"')).length;
  const newest = async (run: string) => {
    const [state] = await listStates(run);
    return loadState(state.dir);
  };

  it('ends with 130 and a state at Ctrl-C, holds its folder alone, and survives kill -9', async () => {
    const run = join(folder, 'long');
    const first = await start(run, ['--data', data, '--out', run, '--config', config, '--steps', '1000000']);
    await refused(['--resume', run], /another process trains in this folder — .*long — /);
    await refused(['--data', data, '--out', run, '--config', config], /the folder is not empty/);
    first.child.kill('SIGINT');
    const stopped = await first.end;
    expect(stopped).toMatchObject({ code: 130, signal: null });
    expect(stopped.stderr).toMatch(/sumi: stopping/);
    expect(stopped.stderr).toMatch(/stopped; go on with: sumi train --resume .*long\n$/);
    const at = Number((await newest(run)).counters.step);
    expect(at).toBeGreaterThanOrEqual(20);
    expect(await stepsIn(run)).toBe(at);
    expect(await exists(join(run, 'model', 'model_index.json'))).toBe(true);

    const second = await start(run, ['--resume', run]);
    second.child.kill('SIGKILL');
    expect(await second.end).toMatchObject({ signal: 'SIGKILL' });
    expect(await exists(join(run, 'run.lock'))).toBe(true);

    // What is left of the lock and of the steps that were not saved does not matter.
    const from = Number((await newest(run)).counters.step);
    const seen: number[] = [];
    await resumeTraining({ run, steps: from + 3, onStep: ({ step }) => seen.push(step) });
    expect(seen).toEqual([from + 1, from + 2, from + 3]);
    expect(await stepsIn(run)).toBe(from + 3);
    const left = (await readdir(run, { recursive: true })).filter((n) => /tmp|\.old|lock/.test(n));
    expect(left).toEqual([]);
  }, 120_000);
});
