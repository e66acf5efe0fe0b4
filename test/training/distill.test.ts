/** `train --distill` from end to end, on networks of a few thousand weights. */
import { access, cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { listStates, loadState, readPipelineDir } from '../../src/checkpoint/index.js';
import { makeStyleDataset } from '../../src/data/index.js';
import { InputError } from '../../src/errors.js';
import { DiffusionPipeline, type GenerateOptions } from '../../src/pipelines/index.js';
import {
  distill,
  parseDistillConfig,
  parseTrainConfig,
  presetConfig,
  resumeTraining,
  type TrainConfig,
  train,
} from '../../src/training/index.js';
import { capture } from '../cli/capture.js';
import { png, write } from '../data/helpers.js';

let folder: string;
/** A model of four labelled shapes on 8×8 pixels. */
let shapes: string;

const tiny = (steps: number): TrainConfig => {
  const config = parseTrainConfig(presetConfig('tiny'), 'test');
  const model = { ...config.diffusion.model, block_out_channels: [16, 32] };
  return { ...config, size: 8, diffusion: { ...config.diffusion, model, steps, checkpoint_every: 1000 } };
};
const settings = (change: object = {}) =>
  parseDistillConfig(
    {
      steps: 6,
      batch_size: 4,
      student_steps: 2,
      checkpoint_every: 100,
      guidance_scale: 2,
      pool: 8,
      ...change,
    },
    'test',
  );

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sumi-distill-'));
  const data = join(folder, 'shapes');
  await makeStyleDataset('shapes', { out: data, size: 16, count: 24, seed: 1 });
  const run = join(folder, 'teacher');
  await train({ data, out: run, config: tiny(150) });
  shapes = join(run, 'model');
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const newest = async (run: string) => {
  const [state] = await listStates(run);
  return loadState(state.dir);
};
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** The pictures of 16 seeds. */
async function pictures(model: string, options: GenerateOptions): Promise<number[]> {
  const pipeline = await DiffusionPipeline.fromPretrained(model);
  try {
    const all = await pipeline.generate({ count: 16, seed: 1000, ...options });
    return all.flatMap(({ data }) => [...data]);
  } finally {
    await pipeline.dispose();
  }
}
const distance = (a: number[], b: number[]): number =>
  a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0) / a.length;

describe('a distilled model', () => {
  it('is nearer to its teacher’s pictures than the teacher is in as few steps, guidance and all', async () => {
    const out = join(folder, 'student');
    const config = settings({ steps: 100, batch_size: 8, learning_rate: 1e-3, ema_decay: 0.95, pool: 64 });
    const result = await distill({ teacher: shapes, out, config });
    expect(result).toMatchObject({ model: join(out, 'model'), interrupted: false });
    expect(result.stages).toMatchObject([{ name: 'distillation', step: 100, steps: 100 }]);
    const taught = await pictures(shapes, { steps: 50, guidanceScale: 2 });
    const hurried = await pictures(shapes, { steps: 2, guidanceScale: 2 });
    // No options: how it draws is its own default.
    const learned = await pictures(out, {});
    expect(distance(learned, taught)).toBeLessThan(0.5 * distance(hurried, taught));
  });

  it('is a diffusers directory of its teacher’s kind that draws in few steps without guidance', async () => {
    const { unet, scheduler, sumi } = await readPipelineDir(join(folder, 'student'));
    const teacher = await readPipelineDir(shapes);
    expect(unet.config).toEqual(teacher.unet.config);
    expect(scheduler).toMatchObject({
      className: 'DDIMScheduler',
      config: { timestep_spacing: 'trailing', clip_sample: false, prediction_type: 'v_prediction' },
    });
    expect(sumi).toMatchObject({
      labels: ['circle', 'square', 'star', 'triangle'],
      null_label: null,
      defaults: { steps: 2, scheduler: 'ddim', guidance_scale: 1 },
      recipe: { step: 100, teacher: 'model', guidance_scale: 2 },
    });
    expect(JSON.stringify(sumi)).not.toContain(folder);
    expect(await readdir(join(folder, 'student', 'samples'))).toContain('step-100.png');
    const log = (await readFile(join(folder, 'student', 'metrics.jsonl'), 'utf8')).trim().split('\n');
    expect(log).toHaveLength(100);
  });

  it('may work on latents, whose autoencoder it takes over', async () => {
    const small = presetConfig('small');
    const blocks = { block_out_channels: [8, 16], norm_num_groups: 4 };
    const few = { batch_size: 2, steps: 1, checkpoint_every: 100 };
    const config = parseTrainConfig(
      {
        size: 16,
        autoencoder: {
          ...few,
          model: {
            ...small.autoencoder?.model,
            ...blocks,
            down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
            up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
          },
        },
        diffusion: { ...few, model: { ...tiny(1).diffusion.model, ...blocks } },
      },
      'test',
    );
    const latent = join(folder, 'latent');
    await train({ data: join(folder, 'shapes'), out: latent, config });
    const out = join(folder, 'latent-student');
    await distill({ teacher: latent, out, config: settings({ steps: 1 }), dtype: 'F16' });
    const [mine, theirs] = [await readPipelineDir(out), await readPipelineDir(latent)];
    expect(await readFile(mine.autoencoder?.weights as string)).toEqual(
      await readFile(theirs.autoencoder?.weights as string),
    );
    expect((await pictures(out, { count: 1 })).length).toBe(16 * 16 * 3);
  });

  it('may have no labels', async () => {
    const files = { '0.png': await png('#f00'), '1.png': await png('#0f0'), '2.png': await png('#00f') };
    const data = await write(join(folder, 'plain'), files);
    const plain = join(folder, 'plain-teacher');
    await train({ data, out: plain, config: tiny(2) });
    const out = join(folder, 'plain-student');
    const { labels } = await distill({ teacher: plain, out, config: settings({ guidance_scale: null }) });
    expect(labels).toEqual([]);
    expect((await pictures(out, { count: 1 })).length).toBe(8 * 8 * 3);
    await expect(
      distill({ teacher: plain, out: join(folder, 'never'), config: settings({ guidance_scale: 2 }) }),
    ).rejects.toThrow(/not trained for guidance — guidance_scale 2/);
  });
});

describe('going on with a distillation', () => {
  it('gives the same bits as not stopping', async () => {
    const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
    await distill({ teacher: shapes, out: whole, config: settings() });
    const controller = new AbortController();
    const stopped = await distill({
      teacher: shapes,
      out: parts,
      config: settings(),
      signal: controller.signal,
      onStep: ({ step }) => step === 2 && controller.abort(),
    });
    expect(stopped.interrupted).toBe(true);
    expect((await newest(parts)).counters.step).toBe(2);
    expect((await resumeTraining({ run: parts })).stages[0]).toMatchObject({ step: 6, interrupted: false });
    const [a, b] = [await newest(whole), await newest(parts)];
    for (const name of ['params', 'm', 'v', 'ema'])
      expect(Buffer.from(a.arrays[name].buffer).equals(Buffer.from(b.arrays[name].buffer)), name).toBe(true);
    expect((await resumeTraining({ run: parts, steps: 8 })).stages[0]).toMatchObject({ step: 8, steps: 8 });
  });

  it('needs the teacher that it began with', async () => {
    const [teacher, out] = [join(folder, 'passing'), join(folder, 'orphan')];
    await cp(shapes, teacher, { recursive: true });
    await distill({ teacher, out, config: settings({ steps: 1 }) });
    await cp(join(folder, 'student', 'model', 'unet'), join(teacher, 'unet'), {
      recursive: true,
      force: true,
    });
    await expect(resumeTraining({ run: out, steps: 2 })).rejects.toThrow(
      /the distillation's state was trained on other data or as another model/,
    );
    await rm(teacher, { recursive: true });
    await expect(resumeTraining({ run: out, steps: 2 })).rejects.toThrow(/no model .*passing — --distill — /);
    await expect(resumeTraining({ run: out, data: folder })).rejects.toThrow(/--data — leave it out/);
  });
});

describe('sumi train --distill', () => {
  const sumi = async (...words: string[]) => {
    process.exitCode = undefined;
    const result = await capture(() => main(['train', ...words], commands));
    process.exitCode = undefined;
    return result;
  };

  it('takes its settings from a file and from options', async () => {
    const out = join(folder, 'command');
    const files = { 'distill.json': '{"student_steps": 8, "teacher_steps": 2, "batch_size": 9}' };
    const config = join(await write(join(folder, 'settings'), files), 'distill.json');
    const words = ['--config', config, '--steps', '1', '--batch', '2', '--distill-steps', '3', '--seed', '5'];
    const { value, stdout } = await sumi('--distill', shapes, '--out', out, ...words, '--json', '--quiet');
    expect(value).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      run: out,
      model: join(out, 'model'),
      labels: ['circle', 'square', 'star', 'triangle'],
      stages: [{ stage: 'distillation', step: 1, steps: 1 }],
    });
    const saved = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
    expect(saved).toMatchObject({
      teacher: shapes,
      config: { student_steps: 3, teacher_steps: 2, batch_size: 2, seed: 5, steps: 1 },
    });
  });

  const out = () => join(folder, 'refused');
  afterAll(async () => expect(await exists(out())).toBe(false));
  const file = async (name: string, content: string) =>
    join(await write(join(folder, `bad-${name}`), { 'settings.json': content }), 'settings.json');

  it.each<[string, () => string[] | Promise<string[]>, RegExp]>([
    ['no run directory', () => ['--distill', shapes], /a run directory is needed — --distill — /],
    ['a model that is none', () => ['--distill', 'nobody', '--out', out()], /no model nobody — --distill — /],
    [
      'a model without scheduler',
      async () => {
        const bare = join(folder, 'bare');
        await cp(join(shapes, 'unet'), join(bare, 'unet'), { recursive: true });
        return ['--distill', bare, '--out', out()];
      },
      /no scheduler — .*bare — /,
    ],
    [
      'a scheduler of another kind of model',
      async () => {
        const flow = join(folder, 'flow');
        await cp(shapes, flow, { recursive: true });
        const path = join(flow, 'scheduler', 'scheduler_config.json');
        const config = JSON.parse(await readFile(path, 'utf8'));
        await write(join(flow, 'scheduler'), {
          'scheduler_config.json': JSON.stringify({
            ...config,
            _class_name: 'FlowMatchEulerDiscreteScheduler',
          }),
        });
        return ['--distill', flow, '--out', out()];
      },
      /the model is one of a flow/,
    ],
    [
      'pictures',
      () => ['--distill', shapes, '--out', out(), '--data', folder],
      /learns from its teacher alone.* — --data — leave out with --distill/,
    ],
    [
      'a stage and a start',
      () => ['--distill', shapes, '--out', out(), '--stage', 'autoencoder', '--init', shapes],
      /--stage, --init — leave out/,
    ],
    ['steps of 0', () => ['--distill', shapes, '--out', out(), '--distill-steps', '0'], /--distill-steps/],
    ['steps of nothing', () => ['--distill-steps', '4', '--out', out()], /nothing is distilled/],
    [
      'more steps than timesteps',
      () => ['--distill', shapes, '--out', out(), '--distill-steps', '300'],
      /300 steps of 4 of the teacher's are more than its 1000 timesteps/,
    ],
    [
      'an unknown setting',
      async () => ['--distill', shapes, '--out', out(), '--config', await file('key', '{"epochs": 3}')],
      /epochs: .*settings\.json — see docs/,
    ],
    [
      'a setting out of range',
      async () => [
        '--distill',
        shapes,
        '--out',
        out(),
        '--config',
        await file('range', '{"teacher_steps": 0}'),
      ],
      /teacher_steps: /,
    ],
    [
      'another run',
      () => ['--resume', folder, '--distill', shapes],
      /a run keeps its own settings — --distill/,
    ],
  ])('refuses %s, in one line and before anything is written', async (_, words, message) => {
    const { value, stdout, stderr } = await sumi(...(await words()), '--quiet');
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(value).toBe(2);
  });

  it('refuses in code what is no setting', () => {
    expect(() => parseDistillConfig({ guidance_scale: -1 }, 'x.json')).toThrow(InputError);
  });
});
