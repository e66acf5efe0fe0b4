/** What happens between the two stages of a latent model. */
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listStates } from '../../src/checkpoint/index.js';
import { makeStyleDataset } from '../../src/data/index.js';
import { InputError } from '../../src/errors.js';
import { parseTrainConfig, presetConfig, resumeTraining, train } from '../../src/training/index.js';

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sumi-stages-'));
  data = join(folder, 'shapes');
  await makeStyleDataset('shapes', { out: data, size: 16, count: 4, seed: 1 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const settings = { batch_size: 2, steps: 3, checkpoint_every: 100 };
const config = parseTrainConfig(
  {
    size: 16,
    augment: { shift: 1 },
    autoencoder: {
      ...settings,
      model: {
        ...presetConfig('small').autoencoder?.model,
        block_out_channels: [8, 8],
        down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
        up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
        norm_num_groups: 4,
      },
    },
    diffusion: {
      ...settings,
      model: { ...presetConfig('tiny').diffusion.model, block_out_channels: [8, 16], norm_num_groups: 4 },
    },
    sampling: { steps: 2 },
  },
  'test',
);

describe('an autoencoder', () => {
  const files = ['config.json', 'diffusion_pytorch_model.safetensors'];
  const model = (run: string) =>
    Promise.all(files.map((name) => readFile(join(run, 'autoencoder', 'model', name), 'hex')));

  it('is measured later if the run was cut off before, and not trained again when it is ready', async () => {
    const run = join(folder, 'cut');
    const result = await train({ data, out: run, config, stage: 'autoencoder' });
    expect(result.model).toBeNull();
    const made = await model(run);
    await rm(join(run, 'autoencoder', 'model'), { recursive: true });
    await expect(resumeTraining({ run, stage: 'diffusion' })).rejects.toThrow(
      /the autoencoder is not trained to its end — .* — go on with --stage autoencoder/,
    );
    const steps: string[] = [];
    const notes: string[] = [];
    const onStep = ({ stage, step }: { stage: string; step: number }) => steps.push(`${stage} ${step}`);
    await resumeTraining({ run, onStep });
    expect(steps).toEqual([]);
    expect(await model(run)).toEqual(made);

    const whole = await resumeTraining({ run, stage: 'all', onStep, onNote: (line) => notes.push(line) });
    expect(steps).toEqual(['diffusion 1', 'diffusion 2', 'diffusion 3']);
    expect(whole.stages.map((s) => s.step)).toEqual([3, 3]);
    expect(notes.join('\n')).toMatch(/of the augmentations only flip serves/);

    // More time, or more steps, go to the stage that is not finished.
    steps.length = 0;
    await resumeTraining({ run, stage: 'all', steps: 4, onStep });
    await resumeTraining({ run, stage: 'all', minutes: 0.002, onStep });
    expect(steps.slice(0, 2)).toEqual(['diffusion 4', 'diffusion 5']);
    expect(steps.every((step) => step.startsWith('diffusion'))).toBe(true);
    expect(await model(run)).toEqual(made);
  });

  it('goes on from an older state when the newest of its finished training is damaged', async () => {
    const run = join(folder, 'damaged');
    const autoencoder = config.autoencoder && { ...config.autoencoder, checkpoint_every: 2 };
    await train({ data, out: run, config: { ...config, autoencoder }, stage: 'autoencoder' });
    const made = await model(run);
    const [newest] = await listStates(join(run, 'autoencoder'));
    await truncate(join(newest.dir, 'state.safetensors'), 10);
    const notes: string[] = [];
    const steps: number[] = [];
    await resumeTraining({ run, onStep: ({ step }) => steps.push(step), onNote: (line) => notes.push(line) });
    expect(steps).toEqual([3]);
    expect(notes.join('\n')).toMatch(/skipped .*step-3/);
    expect(await model(run)).toEqual(made);
  });

  it('of another checkpoint is checked before anything is written, and then used as it is', async () => {
    const [source, out] = [join(folder, 'source'), join(folder, 'taken')];
    await expect(train({ data, out, config, autoencoderFrom: folder })).rejects.toThrow(InputError);
    await expect(train({ data, out, config, stage: 'diffusion' })).rejects.toThrow(
      /the autoencoder comes first — --stage diffusion/,
    );
    await expect(readFile(join(out, 'config.json'))).rejects.toThrow('ENOENT');
    await train({ data, out: source, config });
    const result = await train({ data, out, config, autoencoderFrom: source });
    expect(result.stages.map((s) => s.name)).toEqual(['diffusion']);
    const weights = join('vqvae', 'diffusion_pytorch_model.safetensors');
    expect(await readFile(join(out, 'model', weights), 'hex')).toBe(
      await readFile(join(source, 'model', weights), 'hex'),
    );
  });
});

it('minutes that a run began with hold for the stage that it had not begun', async () => {
  const run = join(folder, 'minutes');
  const endless = {
    ...config,
    autoencoder: config.autoencoder && { ...config.autoencoder, steps: 1e6, checkpoint_every: 1e6 },
    diffusion: { ...config.diffusion, steps: 1e6, checkpoint_every: 1e6 },
  };
  const controller = new AbortController();
  const stopped = await train({
    data,
    out: run,
    config: endless,
    minutes: 0.03,
    signal: controller.signal,
    onStep: ({ step }) => step === 2 && controller.abort(),
  });
  expect(stopped.interrupted).toBe(true);
  const resumed = await resumeTraining({ run });
  expect(resumed.stages.map((s) => s.name)).toEqual(['autoencoder', 'diffusion']);
  for (const { step, steps } of resumed.stages) {
    expect(step).toBe(steps);
    expect(steps).toBeLessThan(1e5);
  }
});

it('a state whose run.lock was left behind by hand does not keep a run from going on', async () => {
  const run = join(folder, 'left');
  await train({ data, out: run, config, stage: 'autoencoder' });
  await writeFile(join(run, 'run.lock'), 'another-machine 12\n');
  await resumeTraining({ run });
  await expect(readFile(join(run, 'run.lock'))).rejects.toThrow('ENOENT');
});
