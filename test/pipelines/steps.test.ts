/** `pipeline.steps()` and `pipeline.scheduler`. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { InputError } from '../../src/errors.js';
import { DiffusionPipeline, type GenerationEvent } from '../../src/pipelines/index.js';
import {
  DDPMScheduler,
  DPMSolverMultistepScheduler,
  EDMEulerScheduler,
  EulerDiscreteScheduler,
} from '../../src/schedulers/index.js';
import { labelled, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
let pipeline: DiffusionPipeline;
beforeAll(async () => {
  pipeline = await DiffusionPipeline.fromPretrained(await writeTiny(at('model'), labelled), { threads: 1 });
}, 60_000);
afterEach(() => {
  vi.restoreAllMocks();
  pipeline.scheduler = null;
});
afterAll(() => pipeline.dispose());

const base64 = ({ data }: { data: Uint8Array }) => Buffer.from(data).toString('base64');

describe('steps', () => {
  it('gives every step and every picture, the pictures of generate', async () => {
    const options = { count: 2, seed: 3, steps: 3 };
    const pictures = await pipeline.generate(options);
    const events: GenerationEvent[] = [];
    for await (const event of pipeline.steps(options)) events.push(event);
    const told = events.map((e) =>
      e.kind === 'step' ? `${e.picture}: ${e.step}/${e.steps}` : `${e.picture} done`,
    );
    expect(told).toEqual([
      ...['0: 1/3', '0: 2/3', '0: 3/3', '0 done'],
      ...['1: 1/3', '1: 2/3', '1: 3/3', '1 done'],
    ]);
    const drawn = events.flatMap((e) => (e.kind === 'picture' ? [base64(e.result)] : []));
    expect(drawn).toEqual(pictures.map(base64));
  });

  it('computes nothing while the loop is busy, and stops when it is left', async () => {
    const predict = vi.spyOn(pipeline.denoiser, 'predict');
    for await (const event of pipeline.steps({ count: 50, steps: 4 })) {
      if (event.kind !== 'step') throw new Error('no picture should be done');
      expect(predict).toHaveBeenCalledTimes(event.step);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(predict).toHaveBeenCalledTimes(event.step);
      const preview = await event.preview();
      expect([preview.width, preview.height]).toEqual([16, 16]);
      if (event.step === 2) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(predict).toHaveBeenCalledTimes(2);
    // And the pipeline is free for the next.
    expect((await pipeline.generate({ steps: 1 })).length).toBe(1);
  });

  it('stops by a signal, and tells the callbacks too', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const run = async () => {
      const options = { count: 9, steps: 4, signal: controller.signal };
      for await (const event of pipeline.steps({ ...options, onStep: ({ step }) => void seen.push(step) })) {
        if (event.kind === 'step' && event.step === 3) controller.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow('enough');
    expect(seen).toEqual([1, 2, 3]);
  });

  it('throws what generate throws, and what its callbacks throw', async () => {
    const run = async (options: Parameters<DiffusionPipeline['steps']>[0]) => {
      for await (const event of pipeline.steps(options)) expect(event.kind).toBe('step');
    };
    await expect(run({ count: 0 })).rejects.toThrow(InputError);
    await expect(run({ scheduler: 'wish' })).rejects.toThrow(/wish/);
    const onStep = () => {
      throw new Error('of the callback');
    };
    await expect(run({ steps: 2, onStep })).rejects.toThrow('of the callback');
  });

  it('passes on what the loop itself throws', async () => {
    const run = async () => {
      for await (const { kind } of pipeline.steps({ count: 9, steps: 4 })) throw new Error(`at a ${kind}`);
    };
    await expect(run()).rejects.toThrow('at a step');
  });
});

describe('scheduler', () => {
  const draw = async (options = {}) =>
    base64((await pipeline.generate({ seed: 1, steps: 3, ...options }))[0]);

  it('is the model’s own, and may be another', async () => {
    const own = await draw();
    expect(pipeline.scheduler.toConfig()._class_name).toBe('DDIMScheduler');
    pipeline.scheduler = 'euler';
    expect(pipeline.scheduler).toBeInstanceOf(EulerDiscreteScheduler);
    const euler = await draw();
    expect(euler).not.toBe(own);
    expect(euler).toBe(await draw({ scheduler: 'euler' }));
    // A call's own goes before it.
    expect(await draw({ scheduler: 'ddim' })).toBe(own);
    pipeline.scheduler = null;
    expect(await draw()).toBe(own);
  });

  it('is made from the config of the one before, with what is changed', async () => {
    pipeline.scheduler = new DPMSolverMultistepScheduler({
      ...pipeline.scheduler.config,
      use_karras_sigmas: true,
    });
    expect(pipeline.scheduler.config).toMatchObject({ use_karras_sigmas: true, num_train_timesteps: 1000 });
    const karras = await draw();
    pipeline.scheduler = 'dpmsolver';
    expect(await draw()).not.toBe(karras);
  });

  it('remembers nothing from one picture to the next', async () => {
    pipeline.scheduler = new DPMSolverMultistepScheduler(pipeline.scheduler.config);
    const alone = await draw({ seed: 2 });
    const [, second] = await pipeline.generate({ seed: 1, count: 2, steps: 3 });
    expect(base64(second)).toBe(alone);
  });

  it('may have a schedule of its own', () => {
    pipeline.scheduler = new DDPMScheduler({ num_train_timesteps: 20 });
    expect(pipeline.schedulerFor({}).timesteps.length).toBe(3);
    expect(pipeline.scheduler.config.num_train_timesteps).toBe(20);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'unknown',
      () => {
        pipeline.scheduler = 'wish';
      },
      /scheduler 'wish' is unknown/,
    ],
    [
      'of another process',
      () => {
        pipeline.scheduler = new EDMEulerScheduler({});
      },
      /EDMEulerScheduler is for models of EDM/,
    ],
  ])('is refused at once: %s', async (_, set, message) => {
    expect(set).toThrow(InputError);
    expect(set).toThrow(message);
    expect(pipeline.scheduler.toConfig()._class_name).toBe('DDIMScheduler');
  });
});
