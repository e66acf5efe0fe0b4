/** Models of other processes than DDPM's, against runs of diffusers (test/fixtures/pipelines/record_processes.py). */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { type ReadTensor, readSafetensors } from '../../src/checkpoint/safetensors.js';
import { InputError } from '../../src/errors.js';
import { DiffusionPipeline, img2img, inpaint, type SamplingOptions } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { DDIMScheduler, EDMEulerScheduler } from '../../src/schedulers/index.js';
import { capture } from '../cli/capture.js';
import { boxMask, noisyPicture, pixelsWhere } from './pictures.js';
import { temporaryFolder } from './tiny.js';

const fixtures = join(import.meta.dirname, '../fixtures');
const at = temporaryFolder();
const runs = [
  ['consistency-1', 1],
  ['consistency-3', 3],
  ['flow-euler', 6],
  ['flow-heun', 4],
  ['edm-euler', 7],
  ['edm-dpm', 7],
] as const;

let recorded: ReadonlyMap<string, ReadTensor>;
let pipeline: DiffusionPipeline;
beforeAll(async () => {
  recorded = (await readSafetensors(join(fixtures, 'pipelines/processes.safetensors'))).tensors;
  const schedulers = JSON.parse(await readFile(join(fixtures, 'pipelines/processes.json'), 'utf8'));
  for (const [name] of runs) {
    await cp(join(fixtures, 'checkpoint/pixels'), at(name), { recursive: true });
    await writeFile(at(name, 'scheduler/scheduler_config.json'), JSON.stringify(schedulers[name]));
  }
});
afterEach(async () => {
  vi.restoreAllMocks();
  await pipeline?.dispose();
});
const open = async (name: string) => {
  pipeline = await DiffusionPipeline.fromPretrained(at(name), { threads: 1 });
};

it.each(runs)('%s draws as diffusers does', async (name, steps) => {
  await open(name);
  const noise = recorded.get(`${name}.noise`)?.data as Float32Array;
  const expected = recorded.get(`${name}.sample`)?.data as Float32Array;
  let drawn = 0;
  vi.spyOn(Random.prototype, 'normal').mockImplementation((n) => {
    drawn += n;
    return noise.slice(drawn - n, drawn);
  });
  const decode = vi.spyOn(pipeline.codec, 'decode');
  await pipeline.generate({ steps });
  // diffusers draws noise for the last step, too, and takes none of it.
  expect(drawn).toBeGreaterThan(0);
  expect(drawn).toBeLessThanOrEqual(noise.length);
  const [sample] = decode.mock.calls[0];
  expect(sample.length).toBe(expected.length);
  const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const worst = sample.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0);
  if (process.env.SUMI_SHOW_ERRORS) console.log(name, worst / largest);
  expect(worst / largest).toBeLessThan(1e-4);
});

describe('a model of another process', () => {
  it('draws in as many steps as it is made for', async () => {
    await open('consistency-1');
    expect(pipeline.schedulerFor({}).timesteps).toHaveLength(1);
    await pipeline.dispose();
    await open('flow-euler');
    expect(pipeline.schedulerFor({}).timesteps).toHaveLength(50);
  });

  it('draws pictures anew and fills in parts of them', async () => {
    await open('flow-euler');
    const [height, width] = pipeline.pictureSize;
    const image = noisyPicture(width, height);
    const [half] = await img2img(pipeline, { image, strength: 0.5, steps: 4 });
    const [none] = await img2img(pipeline, { image, strength: 0, steps: 4 });
    expect(none.data).toEqual(image.data);
    expect(half.data).not.toEqual(image.data);
    const mask = boxMask(width, height, [1, 1, 4, 4]);
    const [filled] = await inpaint(pipeline, { image, mask, method: 'replace', steps: 4 });
    expect(pixelsWhere(filled, mask, false)).toEqual(pixelsWhere(image, mask, false));
    expect(pixelsWhere(filled, mask, true)).not.toEqual(pixelsWhere(image, mask, true));
  });

  it('takes schedulers of its own process', async () => {
    await open('flow-euler');
    expect(
      pipeline.schedulerFor({ scheduler: 'FlowMatchHeunDiscreteScheduler', steps: 3 }).timesteps,
    ).toHaveLength(5);
    for (const other of [new DDIMScheduler(), new EDMEulerScheduler()])
      expect(() => {
        pipeline.scheduler = other;
      }).toThrow(/Scheduler is for models .*, this is a model of a flow/);
    expect(pipeline.scheduler.toConfig()._class_name).toBe('FlowMatchEulerDiscreteScheduler');
  });

  it.each<[string, SamplingOptions, RegExp]>([
    ['another’s scheduler', { scheduler: 'ddim' }, /ddim is for .* name FlowMatchEuler/],
    [
      'an interval of noise levels',
      { guidanceScale: 2, guidanceInterval: [0.1, 2] },
      /--guidance-interval is for models/,
    ],
    ['projected guidance', { guidanceScale: 2, apg: {} }, /--apg is for models of DDPM/],
  ])('refuses %s', async (_, options, why) => {
    await open('flow-euler');
    await expect(pipeline.generate({ steps: 2, ...options })).rejects.toThrow(InputError);
    await expect(pipeline.generate({ steps: 2, ...options })).rejects.toThrow(why);
  });

  it('serves the commands', async () => {
    const sumi = (...argv: string[]) => capture(() => main(argv, commands));
    const out = at('drawn.png');
    const drawn = await sumi(
      'generate',
      '--model',
      at('edm-euler'),
      '--steps',
      '3',
      '--threads',
      '1',
      '--out',
      out,
    );
    expect(drawn).toMatchObject({ value: 0, stdout: `${out}\n` });
    const checked = await sumi('doctor', at('flow-heun'), '--json');
    const scheduler = JSON.parse(checked.stdout).findings?.filter(
      ({ group }: { group: string }) => group === 'scheduler',
    );
    expect(scheduler).toEqual([]);
    const wrong = await sumi('generate', '--model', at('edm-euler'), '--scheduler', 'ddim', '--out', out);
    expect(wrong.value).toBe(2);
    expect(wrong.stderr.trim().split('\n')).toHaveLength(1);
  });
});
