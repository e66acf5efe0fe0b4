/** Pictures side by side, deep features kept from step to step, convolutions in 8-bit integers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import {
  DiffusionPipeline,
  type GenerateOptions,
  img2img,
  inpaint,
  type SpeedOptions,
} from '../../src/pipelines/index.js';
import { noisyPicture } from './pictures.js';
import { labelled, latent, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
let pipeline: DiffusionPipeline;
let guided: DiffusionPipeline;
beforeAll(async () => {
  const dir = await writeTiny(at('model'), labelled);
  const weaker = await writeTiny(at('weaker'), { ...labelled, scale: 0.9 });
  pipeline = await DiffusionPipeline.fromPretrained(dir, { threads: 1 });
  guided = await DiffusionPipeline.fromPretrained(dir, { threads: 1, guide: weaker });
}, 60_000);
afterAll(async () => {
  await pipeline.dispose();
  await guided.dispose();
});

type Pictures = readonly { readonly data: Uint8Array }[];
const bytes = (pictures: Pictures) => pictures.map(({ data }) => Buffer.from(data));
/** The largest difference of any number of two series. */
const difference = (a: Pictures, b: Pictures): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...a.flatMap(({ data }, i) => Array.from(data, (x, k) => Math.abs(x - b[i].data[k]))));
};
const image = noisyPicture(16, 16);
const mask = {
  width: 16,
  height: 16,
  data: Float32Array.from({ length: 256 }, (_, i) => (i % 16 < 8 ? 1 : 0)),
};

describe('pictures side by side', () => {
  const base = { count: 5, seed: 3, steps: 4, label: ['ant', 'cat'], guidanceScale: 3 };

  it.each<[string, GenerateOptions]>([
    ['ddim', {}],
    ['two calls of the network a step', { scheduler: 'heun' }],
    ['noise on the way', { eta: 1 }],
    ["PyTorch's noise", { rng: 'torch', eta: 1 }],
    ['guidance that remembers', { apg: {}, guidanceRescale: 0.5 }],
    ['without guidance', { guidanceScale: 1 }],
  ])('are those drawn one by one: %s', async (_, options) => {
    const single = await pipeline.generate({ ...base, ...options });
    const seen: number[] = [];
    const batched = await pipeline.generate({
      ...base,
      ...options,
      batchSize: 2,
      onStep: ({ picture }) => void seen.push(picture),
    });
    expect(batched.map(({ seed, label }) => [seed, label])).toEqual(
      single.map(({ seed, label }) => [seed, label]),
    );
    expect(difference(single, batched)).toBeLessThanOrEqual(1);
    // Two at a time, the last one alone.
    expect(new Set(seen.slice(0, 2))).toEqual(new Set([0, 1]));
    expect(new Set(seen.slice(-2))).toEqual(new Set([4]));
  });

  it('have a weaker model for guide', async () => {
    const single = await guided.generate(base);
    expect(difference(single, await guided.generate({ ...base, batchSize: 5 }))).toBeLessThanOrEqual(1);
    expect(bytes(single)).not.toEqual(bytes(await pipeline.generate(base)));
  });

  it('are of given pictures, too', async () => {
    const from = { image, ...base, strength: 0.6 };
    expect(
      difference(await img2img(pipeline, from), await img2img(pipeline, { ...from, batchSize: 3 })),
    ).toBeLessThanOrEqual(1);
    const part = { image, mask, ...base, method: 'repaint' as const };
    let moves = 0;
    const together = await inpaint(pipeline, {
      ...part,
      batchSize: 4,
      onStep: (done, total) => {
        expect(done).toBe(++moves);
        expect(done).toBeLessThanOrEqual(total);
      },
    });
    expect(difference(await inpaint(pipeline, part), together)).toBeLessThanOrEqual(1);
  });

  it('are of latents, too', async () => {
    const latents = await DiffusionPipeline.fromPretrained(await writeTiny(at('latents'), latent), {
      threads: 1,
    });
    const options = { count: 2, steps: 3 };
    const single = await latents.generate(options);
    expect(difference(single, await latents.generate({ ...options, batchSize: 2 }))).toBeLessThanOrEqual(1);
    await latents.dispose();
  });

  it('let their callbacks run one at a time', async () => {
    let running = 0;
    await pipeline.generate({
      ...base,
      batchSize: 5,
      onStep: async ({ preview }) => {
        expect(running++).toBe(0);
        await preview();
        running--;
      },
    });
  });

  it('end when one of them fails, and the pipeline goes on', async () => {
    const failing = pipeline.generate({
      ...base,
      batchSize: 5,
      onStep: ({ picture, step }) => {
        if (picture === 2 && step === 2) throw new Error('no more');
      },
    });
    await expect(failing).rejects.toThrow('no more');
    expect((await pipeline.generate({ ...base, batchSize: 5 })).length).toBe(5);
  });

  it('stop by a signal', async () => {
    const controller = new AbortController();
    const run = pipeline.generate({
      ...base,
      batchSize: 5,
      signal: controller.signal,
      onStep: ({ step }) => {
        if (step === 2) controller.abort(new Error('enough'));
      },
    });
    await expect(run).rejects.toThrow('enough');
  });
});

describe('deep features kept', () => {
  const base = { seed: 5, steps: 7, label: 'bee', guidanceScale: 1, scheduler: 'ddim' };

  it('for one step change nothing', async () => {
    const plain = await pipeline.generate(base);
    expect(bytes(await pipeline.generate({ ...base, cacheInterval: 1 }))).toEqual(bytes(plain));
  });

  it.each([
    [2, 0],
    [3, 0],
    [3, 1],
  ])('for %i calls at branch %i are those of the last whole call', async (cacheInterval, cacheBranchId) => {
    const drawn = await pipeline.generate({ ...base, cacheInterval, cacheBranchId });
    // The loop as the paper has it, with the network's own runs.
    const scheduler = pipeline.schedulerFor(base);
    const { runs } = pipeline.denoiser;
    const size = pipeline.sampleSize();
    let sample = new Float32Array(0);
    // What `generate` starts from: its own first input, seen by a network that is not cut.
    const original = runs.run.bind(runs);
    runs.run = async (rows) => {
      if (sample.length === 0) sample = Float32Array.from(rows.sample.data);
      return original(rows);
    };
    await pipeline.generate({ ...base, steps: 7 });
    runs.run = original;
    let deep: Awaited<ReturnType<typeof runs.runKeeping>>['deep'] | undefined;
    for (const [i, timestep] of scheduler.timesteps.entries()) {
      const rows = {
        sample: { data: sample, shape: [1, ...size, 3], dtype: 'float32' as const },
        timesteps: { data: Float32Array.of(timestep), shape: [1], dtype: 'float32' as const },
        labels: { data: Int32Array.of(1), shape: [1], dtype: 'int32' as const },
      };
      let output: Float32Array;
      if (i % cacheInterval === 0) ({ output, deep } = await runs.runKeeping(rows, cacheBranchId));
      else output = await runs.runReusing(rows, cacheBranchId, deep!);
      sample = Float32Array.from(scheduler.step(output, timestep, sample).prevSample);
    }
    const wanted = await pipeline.decode(sample, size);
    expect(difference(drawn, [wanted])).toBe(0);
    expect(bytes(drawn)).not.toEqual(bytes(await pipeline.generate(base)));
  });

  it('go with batches, guidance and inpainting', async () => {
    const many = { ...base, count: 3, guidanceScale: 2, cacheInterval: 2 };
    const single = await pipeline.generate(many);
    expect(difference(single, await pipeline.generate({ ...many, batchSize: 3 }))).toBeLessThanOrEqual(1);
    const [painted] = await inpaint(pipeline, { image, mask, ...many, count: 1, method: 'repaint' });
    expect(painted.width).toBe(16);
  });
});

describe('8-bit integers', () => {
  it('draw nearly the same pictures', async () => {
    const options = { seed: 1, count: 2, steps: 8 };
    const [float, int8] = [
      await DiffusionPipeline.fromPretrained('characters'),
      await DiffusionPipeline.fromPretrained('characters', { precision: 'int8' }),
    ];
    try {
      const [a, b] = [await float.generate(options), await int8.generate(options)];
      expect(bytes(a)).not.toEqual(bytes(b));
      const squares = a.flatMap(({ data }, i) => Array.from(data, (x, k) => (x - b[i].data[k]) ** 2));
      const rms = Math.sqrt(squares.reduce((sum, x) => sum + x, 0) / squares.length);
      // 36 dB.
      expect(rms).toBeLessThan(4);
    } finally {
      await float.dispose();
      await int8.dispose();
    }
  });

  it('are for the engine onnx alone', async () => {
    await expect(
      DiffusionPipeline.fromPretrained(at('model'), { engine: 'cpu', precision: 'int8' }),
    ).rejects.toThrow(/^int8 is not possible with the engine cpu — --precision — /);
  });
});

describe('refuses', () => {
  it.each<[SpeedOptions, RegExp]>([
    [{ batchSize: 0 }, /^0 is not possible — --batch — give a whole number from 1$/],
    [{ batchSize: 1.5 }, /--batch/],
    [{ cacheInterval: -1 }, /--fast/],
    [{ cacheInterval: 2, cacheBranchId: 4 }, /branch 4 is not possible — cacheBranchId — .* from 0 to 3/],
  ])('%j', async (options, message) => {
    const run = pipeline.generate(options);
    await expect(run).rejects.toThrow(InputError);
    await expect(run).rejects.toThrow(message);
  });
});
