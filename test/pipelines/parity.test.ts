/** Whole runs against diffusers' own pipelines (test/fixtures/pipelines/record.py), given the noise that they drew. */
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ReadTensor, readSafetensors } from '../../src/checkpoint/safetensors.js';
import { DiffusionPipeline, denoise, type SamplingOptions } from '../../src/pipelines/index.js';

const fixtures = join(import.meta.dirname, '../fixtures');
// Threads of such small networks only wait for each other.
const one = { threads: 1 };

let recorded: ReadonlyMap<string, ReadTensor>;
let pipeline: DiffusionPipeline;
beforeAll(async () => {
  recorded = (await readSafetensors(join(fixtures, 'pipelines/runs.safetensors'))).tensors;
});
afterEach(() => pipeline.dispose());

const numbers = (name: string) => recorded.get(name)?.data as Float32Array;

function difference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i])), 0);
}

/** Draws with the recorded noise. */
function replay(
  name: string,
  options: SamplingOptions = {},
  condition = pipeline.condition(0, undefined, options.guidanceScale),
) {
  const noise = numbers(`${name}.noise`);
  const { in_channels: channels, sample_size: side } = pipeline.model.unet;
  const size = [side, side] as [number, number];
  const length = size[0] * size[1] * channels;
  return denoise({
    denoiser: pipeline.denoiser,
    scheduler: pipeline.schedulerFor({ steps: 10, ...options }),
    sample: noise.slice(0, length),
    size,
    condition,
    eta: options.eta,
    noise: (index) => noise.slice((index + 1) * length, (index + 2) * length),
  });
}

describe('samples as diffusers draws them', () => {
  it.each([
    ['ddim', {}],
    ['ddim-eta', { eta: 0.7 }],
    ['ddpm', { scheduler: 'ddpm' }],
  ] as const)('unconditional, %s', async (name, options) => {
    pipeline = await DiffusionPipeline.fromPretrained(join(fixtures, 'checkpoint/pixels'), one);
    expect(difference(await replay(name, options), numbers(`${name}.sample`))).toBeLessThan(1e-4);
  });

  it('latents, decoded', async () => {
    pipeline = await DiffusionPipeline.fromPretrained(join(fixtures, 'checkpoint/latents'), one);
    const sample = await replay('latents');
    // 6e-5 where this was written; other processors round otherwise.
    expect(difference(sample, numbers('latents.sample'))).toBeLessThan(3e-4);
    const picture = await pipeline.codec.decode(sample, [8, 8]);
    expect(difference(picture, numbers('latents.picture'))).toBeLessThan(3e-4);
  });

  it.each([
    ['a VQModel', 'vq', 2],
    ['an AutoencoderTiny', 'taesd', 4],
  ])('latents of %s, decoded', async (_, name, reduction) => {
    pipeline = await DiffusionPipeline.fromPretrained(join(fixtures, 'pipelines', name), one);
    expect(pipeline.pictureSize).toEqual([4 * reduction, 4 * reduction]);
    const sample = await replay(name);
    expect(difference(sample, numbers(`${name}.sample`))).toBeLessThan(1e-4);
    const picture = await pipeline.codec.decode(sample, [4, 4]);
    expect(difference(picture, numbers(`${name}.picture`))).toBeLessThan(1e-4);
  });

  it('guided by a class', async () => {
    pipeline = await DiffusionPipeline.fromPretrained(join(fixtures, 'pipelines/classes'), one);
    const condition = pipeline.condition(0, 'bee', 2.5);
    expect(condition).toEqual({ label: 1, nullLabel: 3, guidanceScale: 2.5, name: 'bee' });
    const sample = await replay('guided', {}, condition);
    expect(difference(sample, numbers('guided.sample'))).toBeLessThan(1e-4);
    // The comparison can tell guidance from none.
    const plain = await replay('guided', {}, { ...condition, guidanceScale: 1 });
    expect(difference(plain, numbers('guided.sample'))).toBeGreaterThan(1e-2);
  });

  it('the same on an eager engine', async () => {
    pipeline = await DiffusionPipeline.fromPretrained(join(fixtures, 'pipelines/classes'), {
      engine: 'wasm',
    });
    const sample = await replay('guided', {}, pipeline.condition(0, 'bee', 2.5));
    expect(difference(sample, numbers('guided.sample'))).toBeLessThan(1e-4);
  });
});
