/** Pictures with LoRA files against diffusers with the same adapters (test/fixtures/lora/record.py). */
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ReadTensor, readSafetensors } from '../../src/checkpoint/safetensors.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { writeStable } from '../pipelines/stable.js';
import { temporaryFolder } from '../pipelines/tiny.js';

const at = temporaryFolder();
const fixtures = join(import.meta.dirname, '../fixtures/lora');
const file = (name: string) => join(fixtures, `${name}.safetensors`);
let recorded: ReadonlyMap<string, ReadTensor>;
beforeAll(async () => {
  recorded = (await readSafetensors(file('runs'))).tensors;
  await writeStable(at('sd1'), 'sd1');
}, 60_000);

const numbers = (name: string) => recorded.get(name)?.data as Float32Array;
const prompt = 'a photo of the cat, painted';
const worst = (a: Float32Array, b: Float32Array): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
};

let pipeline: DiffusionPipeline;
afterEach(async () => {
  vi.restoreAllMocks();
  await pipeline?.dispose();
});

describe('as diffusers draws with adapters', () => {
  it.each<[string, Record<string, number>]>([
    ['none', {}],
    ['peft', { peft: 1 }],
    ['rslora', { rslora: 0.6 }],
    ['kohya', { kohya: 1 }],
    ['processor', { processor: 1.3 }],
    ['several', { peft: 0.5, kohya: -0.4, rslora: 1 }],
  ])('%s', async (name, files) => {
    const loras = Object.entries(files).map(([lora, scale]) => ({ path: file(lora), scale }));
    pipeline = await DiffusionPipeline.fromPretrained(at('sd1'), { threads: 1, loras });
    const told = numbers(`${name}.context`);
    const predict = vi.spyOn(pipeline.denoiser, 'predict');
    const condition = { label: null, nullLabel: null, guidanceScale: 1, prompt };
    const noise = numbers(`${name}.noise`);
    const predicted = await pipeline.denoiser.predict(noise, [4, 4], 500, condition);
    predict.mockClear();
    const context = await (pipeline as unknown as Encodes).prompts.encode(prompt);

    vi.spyOn(Random.prototype, 'normal').mockImplementation(() => noise.slice());
    const decode = vi.spyOn(pipeline.codec, 'decode');
    const told2 = { prompt, negativePrompt: "the DOG's house!", scheduler: 'ddim' };
    await pipeline.generate({ ...told2, steps: 4, guidanceScale: 5 });
    const [sample] = decode.mock.calls[0];
    const picture = (await decode.mock.results[0].value) as Float32Array;
    const errors = [
      worst(context, told),
      worst(predicted, numbers(`${name}.predicted`)),
      worst(sample, numbers(`${name}.sample`)),
      worst(picture, numbers(`${name}.picture`)),
    ];
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, ...errors.map((e) => e.toExponential(1)));
    for (const error of errors) expect(error).toBeLessThan(1e-4);
    // And the file changes what is drawn by far more than that.
    if (name !== 'none') expect(worst(picture, numbers('none.picture'))).toBeGreaterThan(0.1);
  });
});

interface Encodes {
  readonly prompts: { encode(prompt: string): Promise<Float32Array> };
}
