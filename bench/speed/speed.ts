/**
 * How long the shipped model's network takes, for speed.py to compare with PyTorch: one prediction for one picture
 * under guidance, and one training step (forward, backward, clipping, AdamW, EMA).
 *
 *   npx tsx bench/speed/speed.ts && python bench/speed/speed.py
 */
import { Denoiser } from '../../src/pipelines/denoise.js';
import { loadModel } from '../../src/pipelines/model.js';
import { Random } from '../../src/random.js';
import { diffusionLoss, Noising } from '../../src/training/diffusion.js';
import { parseTrainConfig, presetConfig } from '../../src/training/index.js';
import { freshVectors, TrainStep } from '../../src/training/step.js';
import { unet2dSpecs } from '../../src/unet/index.js';

const BATCH = 32;
const { unet, unetParams } = await loadModel('characters');
const specs = unet2dSpecs(unet);
const side = unet.sample_size as number;
const random = new Random(0);

async function median(what: string, times: number, run: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 1; i <= 3; i++) await run(i);
  const taken: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await run(4 + i);
    taken.push(performance.now() - start);
  }
  taken.sort((a, b) => a - b);
  console.log(`${what}: median ${taken[times >> 1].toFixed(1)} ms, fastest ${taken[0].toFixed(1)} ms`);
}

const denoiser = new Denoiser(unet, specs, unetParams);
const sample = random.normal(side * side * unet.in_channels);
const condition = { label: 1, nullLabel: 8, guidanceScale: 2 };
await median('prediction, 2 rows', 50, () => denoiser.predict(sample, [side, side], 500, condition));
await denoiser.dispose();

const shape = [BATCH, side, side, unet.in_channels];
const samples = random.normal(BATCH * sample.length);
const labels = Int32Array.from({ length: BATCH }, (_, i) => i % 8);
const noising = new Noising(parseTrainConfig(presetConfig('small'), 'small').diffusion, random, 8);
const step = new TrainStep(specs, diffusionLoss(unet), freshVectors(unetParams.slice()));
await median(`training step, batch ${BATCH}`, 12, (i) =>
  step.run(noising.batch({ samples, labels }, shape, i), i, 1e-4, 0.999),
);
