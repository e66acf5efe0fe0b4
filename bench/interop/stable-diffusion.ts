/**
 * Writes checkpoints that draw from texts, and networks by themselves, for real diffusers to open
 * (stable-diffusion.py): tiny ones of random weights, written anew by `sumi export --to diffusers`, and one that was
 * trained further, each with noise, and what Sumi draws of it.
 *
 *   npx tsx bench/interop/stable-diffusion.ts OUT && python bench/interop/stable-diffusion.py OUT
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { permuteData } from '../../src/engine/lower/context.js';
import { type ExportDtype, exportDiffusers } from '../../src/export/index.js';
import { writePng } from '../../src/image/index.js';
import { DiffusionPipeline, denoise } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { parseTrainConfig, settingsOf, train } from '../../src/training/index.js';
import { noisyPicture } from '../../test/pipelines/pictures.js';
import { writeStable } from '../../test/pipelines/stable.js';

const out = process.argv[2];
if (!out) throw new Error('usage: stable-diffusion.ts OUT');

const STEPS = 5;
const channelsFirst = (data: Float32Array, [h, w, c]: readonly number[]) => ({
  shape: [1, c, h, w],
  data: permuteData(data, [1, h, w, c], [0, 3, 1, 2]),
});

/** Draws with what was written and records noise, latents and picture. */
async function draw(dir: string): Promise<void> {
  const pipeline = await DiffusionPipeline.fromPretrained(dir, { threads: 1 });
  const noise = new Random(5).normal(4 * 4 * 4);
  const condition = {
    label: null,
    nullLabel: null,
    guidanceScale: 5,
    prompt: 'a photo of the cat',
    negativePrompt: 'the dog',
  };
  const scheduler = pipeline.schedulerFor({ steps: STEPS, scheduler: 'ddim' });
  const paints = pipeline.model.paints;
  const beside = new Random(6).normal(4 * 4 * 5).map((v, i) => (i % 5 === 0 ? Number(i > 40) : v));
  const sample = await denoise({
    denoiser: pipeline.denoiser,
    scheduler,
    sample: noise.slice(),
    size: [4, 4],
    condition: paints ? { ...condition, channels: beside } : condition,
    noise: () => new Float32Array(noise.length),
  });
  const picture = await pipeline.codec.decode(sample, [4, 4]);
  await pipeline.dispose();
  await writeSafetensors(join(dir, 'check.safetensors'), {
    noise: channelsFirst(noise, [4, 4, 4]),
    beside: channelsFirst(beside, [4, 4, 5]),
    sample: channelsFirst(sample, [4, 4, 4]),
    picture: channelsFirst(picture, [32, 32, 3]),
  });
}

const work = await mkdtemp(join(tmpdir(), 'sumi-interop-'));
try {
  const cases = [
    ['sd1', 'fp32'],
    ['sd2', 'fp32'],
    ['paint', 'fp32'],
    ['sd1', 'fp16'],
    ['sd2', 'bf16'],
  ] as const satisfies readonly (readonly [string, ExportDtype])[];
  for (const [name, dtype] of cases) {
    const [source, dir] = [join(work, `${name}-${dtype}`), join(out, `${name}-${dtype}`)];
    await writeStable(source, name);
    await exportDiffusers(source, dir, { dtype });
    await draw(dir);
  }
  const [source, data, trained] = [join(work, 'sd1-fp32'), join(work, 'data'), join(out, 'trained-fp32')];
  await mkdir(data);
  await writePng(join(data, 'a.png'), noisyPicture(32, 32));
  await writeFile(join(data, 'metadata.jsonl'), '{"file_name":"a.png","text":"the dog"}');
  const settings = await settingsOf(source);
  const diffusion = { ...settings.diffusion, steps: 5, batch_size: 2, learning_rate: 1e-3 };
  const config = parseTrainConfig({ ...settings, diffusion }, source);
  await train({ data, out: join(work, 'run'), config, initFrom: source, threads: 1 });
  await cp(join(work, 'run/model'), trained, { recursive: true });
  await draw(trained);
  for (const part of ['unet', 'vae', 'text_encoder'])
    await exportDiffusers(join(out, 'sd1-fp32', part), join(out, part));
} finally {
  await rm(work, { recursive: true, force: true });
}
