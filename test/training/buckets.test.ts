import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { klNetwork, parseAutoencoderConfig } from '../../src/autoencoder/index.js';
import { listStates, loadState } from '../../src/checkpoint/index.js';
import { openDataset, pictureAt } from '../../src/data/index.js';
import { initParams } from '../../src/engine/params.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { encodeDataset } from '../../src/training/autoencoder.js';
import { parseTrainConfig, resumeTraining, train } from '../../src/training/index.js';
import { write } from '../data/helpers.js';
import { maxError } from '../engine/helpers.js';
import { unet, vae } from '../pipelines/tiny.js';

let folder: string;
let data: string;

/** Tall pictures whose upper part is red, wide ones whose left part is, and square ones. */
async function picture(width: number, height: number, shade: number): Promise<Buffer> {
  const [w, h] = width > height ? [width / 2, height] : [width, height / 2];
  const red = {
    create: { width: w, height: h, channels: 3 as const, background: `rgb(${200 + shade},0,0)` },
  };
  return sharp({ create: { width, height, channels: 3, background: `rgb(0,${shade},${200 + shade})` } })
    .composite([{ input: red, left: 0, top: 0 }])
    .png()
    .toBuffer();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sumi-buckets-'));
  data = join(folder, 'mixed');
  const files: Record<string, Buffer> = {};
  for (let i = 0; i < 12; i++) files[`tall/${i}.png`] = await picture(24, 40, i);
  for (let i = 0; i < 9; i++) files[`wide/${i}.png`] = await picture(40, 24, i);
  for (let i = 0; i < 8; i++) files[`square/${i}.png`] = await picture(32, 32, i);
  await write(data, files);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const settings = { batch_size: 4, steps: 7, checkpoint_every: 100, lr_warmup_steps: 0, learning_rate: 1e-3 };
const config = (change: object = {}) =>
  parseTrainConfig(
    {
      size: 16,
      aspect_ratio_buckets: true,
      augment: { flip: true },
      autoencoder: {
        ...settings,
        model: vae,
      },
      diffusion: {
        ...settings,
        held_back: 0.5,
        model: unet,
        ...change,
      },
      sampling: { steps: 2 },
    },
    'test',
  );

it('a latent model is trained on all shapes, goes on to the same bit, and draws the most frequent one', async () => {
  const through = join(folder, 'through');
  const notes: string[] = [];
  const options = { data, config: config(), onNote: (line: string) => notes.push(line) };
  const { model } = await train({ ...options, out: through });
  // One training graph of each stage for each shape.
  expect(notes.filter((line) => line === "building the diffusion's training graph")).toHaveLength(3);
  // The units of both networks make 4: sides of 12 and 20 pixels.
  const pipeline = await DiffusionPipeline.fromPretrained(model as string);
  try {
    expect(pipeline.pictureSize).toEqual([20, 12]);
    const [drawn] = await pipeline.generate({ label: 'tall', seed: 1 });
    expect([drawn.width, drawn.height]).toEqual([12, 20]);
    const [wide] = await pipeline.generate({ label: 'wide', seed: 1, size: [12, 20] });
    expect([wide.width, wide.height]).toEqual([20, 12]);
  } finally {
    await pipeline.dispose();
  }

  const stopped = join(folder, 'stopped');
  const stop = new AbortController();
  await train({
    ...options,
    out: stopped,
    signal: stop.signal,
    onStep: ({ stage, step }) => {
      if (stage === 'diffusion' && step === 3) stop.abort();
    },
  });
  await resumeTraining({ run: stopped });
  const newest = async (run: string) => (await loadState((await listStates(run))[0].dir)).arrays;
  expect(await newest(stopped)).toEqual(await newest(through));
});

it('latents of pictures of several shapes are those of each picture alone', async () => {
  const dataset = await openDataset(data, { size: 16, bucketUnit: 4 });
  const { autoencoder } = config();
  const model = parseAutoencoderConfig({ ...autoencoder?.model, sample_size: 16, scaling_factor: 1 });
  const network = klNetwork(model);
  const params = initParams(network.specs, new Random(3));
  const { latents, std } = await encodeDataset(network, params, dataset, {});
  const slot = latents.length / dataset.count;
  let sum = 0;
  let numbers = 0;
  for (const index of [0, 10, 28]) {
    const one = { ...dataset, count: 1, buckets: undefined };
    const { width, height } = pictureAt(dataset, index);
    const alone = await encodeDataset(
      network,
      params,
      {
        ...one,
        pixels: pictureAt(dataset, index).data,
        buckets: { sizes: [{ width, height }], ids: new Uint8Array(1) },
      },
      {},
    );
    const own = (slot * width * height) / 16 ** 2;
    expect(
      maxError(latents.subarray(index * slot, index * slot + own), alone.latents.subarray(0, own)),
    ).toBeLessThan(1e-5);
  }
  for (let i = 0; i < dataset.count; i++) {
    const { width, height } = pictureAt(dataset, i);
    const own = (slot * width * height) / 16 ** 2;
    for (const z of latents.subarray(i * slot, i * slot + own)) sum += z * z;
    numbers += own;
  }
  expect(std).toBeCloseTo(Math.sqrt(sum / numbers), 6);
});

it('holes are made in square pictures alone', () => {
  expect(() => config({ inpaint: true })).toThrow(/aspect_ratio_buckets — leave it out with --inpaint/);
});
