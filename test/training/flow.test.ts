/** Training models of a flow and with EDM's preconditioning, and how timesteps are drawn. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { readPipelineDir } from '../../src/checkpoint/index.js';
import { edmSample, flowSample } from '../../src/diffusion/index.js';
import { InputError } from '../../src/errors.js';
import { writePng } from '../../src/image/index.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { EDMEulerScheduler } from '../../src/schedulers/index.js';
import { Noising } from '../../src/training/diffusion.js';
import {
  type DiffusionStage,
  parseTrainConfig,
  presetConfig,
  settingsOf,
  train,
} from '../../src/training/index.js';
import { capture } from '../cli/capture.js';
import { temporaryFolder } from '../pipelines/tiny.js';

const at = temporaryFolder();

function stage(change: Partial<DiffusionStage>): DiffusionStage {
  return { ...parseTrainConfig(presetConfig('tiny'), 'test').diffusion, ...change };
}

describe('noising of a flow', () => {
  const noising = (change: Partial<DiffusionStage> = {}) =>
    new Noising(stage({ prediction_type: 'flow_prediction', ...change }), new Random(1), null);
  const samples = new Random(2).normal(8 * 12);
  const batch = (of: Noising) => of.batch({ samples, labels: null }, [8, 2, 2, 3], 1);

  it('lies on the line between picture and noise, and asks for its velocity', () => {
    const { sample, target, timesteps, weights } = batch(noising());
    for (let i = 0; i < samples.length; i++) {
      const sigma = timesteps.data[Math.floor(i / 12)] / 1000;
      // x_σ − σ·v = x_0, x_σ + (1 − σ)·v = ε
      expect(sample.data[i] - sigma * target.data[i]).toBeCloseTo(samples[i], 5);
    }
    expect([...weights.data]).toEqual(new Array(8).fill(1));
    const noise = new Random(1).fork('noise', 1).normal(samples.length);
    const { velocity } = flowSample(samples, noise, new Float64Array(8));
    expect(target.data).toEqual(velocity);
    expect(velocity[5]).toBeCloseTo(noise[5] - samples[5], 6);
  });

  it('refuses shapes that do not fit', () => {
    expect(() => flowSample(new Float32Array(6), new Float32Array(5), [0.5])).toThrow(InputError);
    expect(() => flowSample(new Float32Array(6), new Float32Array(6), [0, 0, 0, 0])).toThrow(InputError);
  });

  it.each(['flow_prediction', 'v_prediction'] as const)(
    'draws timesteps as told, of %s',
    (prediction_type) => {
      const times = (timestep_distribution: DiffusionStage['timestep_distribution']) => {
        const drawing = noising({ prediction_type, timestep_distribution });
        return Array.from({ length: 500 }, (_, step) => [
          ...drawing.batch({ samples, labels: null }, [8, 2, 2, 3], step + 1).timesteps.data,
        ]).flat();
      };
      const shareBelow = (t: number[], limit: number) => t.filter((x) => x < limit).length / t.length;
      const uniform = times('uniform');
      for (const limit of [100, 250, 500, 900])
        expect(shareBelow(uniform, limit)).toBeCloseTo(limit / 1000, 1.9);
      const normal = times('logit_normal');
      // Φ(logit(x)): of 4000 draws, within 3 standard deviations.
      for (const [limit, share] of [
        [100, 0.01401],
        [250, 0.13597],
        [500, 0.5],
        [900, 0.98599],
      ])
        expect(Math.abs(shareBelow(normal, limit) - share)).toBeLessThan(
          3 * Math.sqrt((share * (1 - share)) / 4000),
        );
    },
  );
});

describe('noising of EDM', () => {
  it('asks for what its scheduler makes the picture of', () => {
    const scheduler = new EDMEulerScheduler({ sigma_data: 0.7 });
    scheduler.setTimesteps(9);
    const sigmas = scheduler.timesteps.map((timestep) => Math.exp(4 * timestep));
    const [original, noise] = [new Random(3).normal(9 * 4), new Random(4).normal(9 * 4)];
    const made = edmSample(original, noise, sigmas, 0.7);
    for (const [k, timestep] of scheduler.timesteps.entries()) {
      const part = (values: Float32Array) => values.slice(4 * k, 4 * k + 4);
      expect(made.timesteps[k]).toBeCloseTo(timestep, 5);
      const noisy = scheduler.addNoise(part(original), part(noise), timestep);
      const close = (a: Float32Array, b: Float32Array, digits: number) =>
        a.forEach((x, i) => {
          expect(x).toBeCloseTo(b[i], digits);
        });
      close(scheduler.scaleModelInput(noisy, timestep), part(made.sample), 4);
      const { predOriginalSample } = scheduler.step(part(made.target), timestep, noisy);
      close(predOriginalSample, part(original), 4);
    }
    expect(() => edmSample(original, noise.slice(1), sigmas, 0.7)).toThrow(InputError);
  });

  it('draws levels by the logarithm’s normal distribution, for the data’s deviation', () => {
    const levels = (change: Partial<DiffusionStage>, sigmaData?: number) => {
      const settings = stage({ prediction_type: 'edm_prediction', ...change });
      const noising = new Noising(settings, new Random(1), null, sigmaData);
      const batch = { samples: new Float32Array(8 * 12), labels: null };
      const logs = Array.from({ length: 500 }, (_, step) =>
        [...noising.batch(batch, [8, 2, 2, 3], step + 1).timesteps.data].map((t) => 4 * t),
      ).flat();
      const mean = logs.reduce((sum, x) => sum + x, 0) / logs.length;
      return { mean, std: Math.sqrt(logs.reduce((sum, x) => sum + (x - mean) ** 2, 0) / logs.length) };
    };
    // Pairs about the middle: the mean is exact.
    expect(levels({}).mean).toBeCloseTo(-1.2, 4);
    expect(levels({}).std).toBeCloseTo(1.2, 1);
    const other = levels({ p_mean: -0.4, p_std: 1 }, 1);
    expect(other.mean).toBeCloseTo(-0.4 + Math.log(2), 4);
    expect(other.std).toBeCloseTo(1, 1);
  });
});

describe.each([
  ['flow_prediction', 'FlowMatchEulerDiscreteScheduler'],
  ['edm_prediction', 'EDMEulerScheduler'],
])('a model of %s', (prediction_type, scheduler_name) => {
  const run = () => at(prediction_type);
  const sumi = (...argv: string[]) => capture(() => main(argv, commands));
  beforeAll(async () => {
    await mkdir(at('data'), { recursive: true });
    // One picture, so that the network has something to hit.
    const data = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (Math.floor(i / 3) % 8 < 4 ? 230 : 30));
    await writePng(at('data', 'a.png'), { width: 8, height: 8, data });
    const config = presetConfig('tiny');
    const diffusion = {
      ...config.diffusion,
      model: { ...config.diffusion.model, block_out_channels: [16, 16] },
      prediction_type,
      batch_size: 16,
      steps: 300,
      lr_warmup_steps: 10,
      ema_decay: 0.98,
      checkpoint_every: 1000,
    };
    const whole = parseTrainConfig({ ...config, size: 8, diffusion }, 'test');
    await train({ data: at('data'), out: run(), config: whole, threads: 1 });
  }, 60_000);

  it('is published as one, and draws what it learned without being told how', async () => {
    const { scheduler } = await readPipelineDir(run());
    expect(scheduler?.className).toBe(scheduler_name);
    const pipeline = await DiffusionPipeline.fromPretrained(run(), { threads: 1 });
    const [{ data }] = await pipeline.generate({ seed: 3 });
    await pipeline.dispose();
    const error = data.reduce((sum, x, i) => sum + Math.abs(x - (Math.floor(i / 3) % 8 < 4 ? 230 : 30)), 0);
    expect(error / data.length).toBeLessThan(25);
  });

  it('is trained further as one', async () => {
    expect((await settingsOf(run())).diffusion.prediction_type).toBe(prediction_type);
    const more = await sumi(
      'train',
      '--data',
      at('data'),
      '--out',
      at(`more-${prediction_type}`),
      '--init',
      run(),
      '--steps',
      '2',
      '--quiet',
    );
    expect(more.value).toBe(0);
    const again = await readPipelineDir(at(`more-${prediction_type}`));
    expect(again.scheduler).toEqual((await readPipelineDir(run())).scheduler);
  });

  it('is found sound', async () => {
    expect((await sumi('doctor', join(run(), 'model'))).value).toBe(0);
  });
});
