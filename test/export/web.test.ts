/** Exported files in onnxruntime-web, and the page's module that draws with them. */
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-web';
import { beforeAll, describe, expect, it } from 'vitest';
import { permuteData } from '../../src/engine/lower/context.js';
import { CHECKED_BATCHES, compareFile, type FileRun, requireClose } from '../../src/export/check.js';
import { graphFiles } from '../../src/export/graphs.js';
import { exportOnnx } from '../../src/export/index.js';
import { DiffusionPipeline, denoise, loadModel } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { labelled, latent, type TinyModel, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

interface Page {
  openModel(runtime: typeof ort, read: (file: string) => Promise<Uint8Array>): Promise<object>;
  draw(
    model: object,
    options: { noise: Float32Array; label?: number; steps: number; guidance?: number },
  ): Promise<{ data: Uint8ClampedArray; width: number; height: number }>;
  noiseOf(seed: number, length: number): Float32Array;
}

const at = temporaryFolder();
const models: Record<string, TinyModel> = { labelled, latent };
const names = [...Object.keys(models), 'vq', 'taesd'];
let page: Page;

beforeAll(async () => {
  ort.env.wasm.numThreads = 1;
  page = await import(new URL('../../examples/browser/draw.js', import.meta.url).href);
  const recorded = new URL('../fixtures/pipelines/', import.meta.url);
  for (const name of names) {
    if (models[name]) await writeTiny(at(name), models[name]);
    else await cp(new URL(name, recorded), at(name), { recursive: true });
    await exportOnnx(at(name), at(`${name}-onnx`), { threads: 1 });
  }
}, 600_000);

describe('onnxruntime-web', () => {
  it.each(names)('computes what Sumi does: %s', async (name) => {
    const model = await loadModel(at(name));
    const size = model.unet.sample_size as number;
    for (const file of graphFiles(model, [size, size])) {
      const bytes = await readFile(at(`${name}-onnx`, `${file.name}.onnx`));
      const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
      const run: FileRun = async (inputs) => {
        const given = Object.entries(inputs).map(([key, { dtype, data, shape }]) => [
          key,
          new ort.Tensor(dtype as 'float32', data as Float32Array, shape as number[]),
        ]);
        const results = await session.run(Object.fromEntries(given));
        return Object.fromEntries(
          Object.entries(results).map(([key, t]) => [key, { data: t.data as Float32Array, dims: t.dims }]),
        );
      };
      const differences = await compareFile(run, file, { threads: 1 });
      expect(differences.map((d) => d.batch)).toEqual([...CHECKED_BATCHES]);
      requireClose(differences, file.name);
      await session.release();
    }
  });
});

describe('the page', () => {
  it.each([
    ['labelled', 1, 2],
    ['labelled', 2, 1],
    ['latent', 0, 1],
    ['taesd', 0, 1],
  ])('draws what Sumi draws: %s, label %d, guidance %d', async (name, label, guidance) => {
    const read = (file: string) => readFile(join(at(`${name}-onnx`), file));
    const opened = await page.openModel(ort, read);
    const pipeline = await DiffusionPipeline.fromPretrained(at(name), { threads: 1 });
    const { in_channels: channels, sample_size: side } = pipeline.model.unet;
    const size = side as number;
    const noise = new Random(5).normal(channels * size * size);
    const steps = 4;
    const picture = await page.draw(opened, { noise, label, steps, guidance });
    const { nullLabel } = pipeline.model;
    const sample = await denoise({
      denoiser: pipeline.denoiser,
      scheduler: pipeline.schedulerFor({ steps, scheduler: 'ddim' }),
      sample: permuteData(noise, [1, channels, size, size], [0, 2, 3, 1]),
      size: [size, size],
      condition: { label: nullLabel === null ? null : label, nullLabel, guidanceScale: guidance },
      noise: () => new Float32Array(noise.length),
    });
    const { data, width, height } = await pipeline.decode(sample, [size, size]);
    await pipeline.dispose();
    expect([picture.width, picture.height]).toEqual([width, height]);
    const rgb = picture.data.filter((_, i) => i % 4 !== 3);
    const worst = data.reduce((most, v, i) => Math.max(most, Math.abs(v - rgb[i])), 0);
    expect(worst).toBeLessThanOrEqual(1);
    expect(new Set(data).size).toBeGreaterThan(5);
  });

  it('makes normal numbers from a seed', () => {
    const numbers = page.noiseOf(3, 20_000);
    const mean = numbers.reduce((a, b) => a + b) / numbers.length;
    const variance = numbers.reduce((a, b) => a + (b - mean) ** 2, 0) / numbers.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
    expect(page.noiseOf(3, 5)).toEqual(numbers.slice(0, 5));
    expect(page.noiseOf(4, 5)).not.toEqual(numbers.slice(0, 5));
  });
});
