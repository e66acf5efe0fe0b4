/** What a training by minutes is made of: the largest recipe whose network still sees enough pictures in that time. */
import { klNetwork, parseAutoencoderConfig } from '../autoencoder/index.js';
import type { CompileOptions } from '../engine/compile.js';
import { isCompiled, useEagerBackend } from '../engine/engines.js';
import { initParams } from '../engine/params.js';
import { Random } from '../random.js';
import {
  AUTOENCODER_SHARE,
  parseTrainConfig,
  presetConfig,
  type TrainConfig,
  type TrainConfigInput,
} from './config.js';
import { denoiserFor } from './denoiser.js';
import { diffusionLoss, Noising } from './diffusion.js';
import { freshVectors, TrainStep } from './step.js';

/** A preset, its pictures' side, and how many of them its network has to see to be worth more than the one before. */
interface Rung {
  readonly preset: string;
  readonly size: number;
  readonly needs: number;
}

/** From small to large. The numbers are judgement: docs/training.md, "By the clock". */
const LADDER: readonly Rung[] = [
  { preset: 'light', size: 32, needs: 0 },
  { preset: 'light', size: 64, needs: 50_000 },
  { preset: 'small', size: 64, needs: 500_000 },
  { preset: 'base', size: 128, needs: 1_500_000 },
];

/** Steps that are timed, after one that builds the graph. */
const TIMED = 3;

export interface PlanOptions extends Pick<CompileOptions, 'engine' | 'threads'> {
  readonly minutes: number;
  /** Side of the pictures, if it is settled. */
  readonly size?: number;
  /** What minutes are counted by, in seconds; default what a clock on the wall shows. */
  readonly clock?: () => number;
  readonly signal?: AbortSignal;
}

export interface Plan {
  /** Settings for `parseTrainConfig`. */
  readonly config: TrainConfigInput;
  readonly preset: string;
  /** Side of the pictures. */
  readonly size: number;
  readonly minutes: number;
  /** Seconds that a step of its diffusion stage took. */
  readonly pace: number;
  /** About how many pictures the network will see. */
  readonly seen: number;
}

/** Seconds of a step of a configuration's diffusion stage, on random numbers. */
async function paceOf(config: TrainConfig, options: PlanOptions): Promise<number> {
  const { engine, threads, clock = () => performance.now() / 1000 } = options;
  const { autoencoder, diffusion: settings, size } = config;
  const vae = autoencoder && klNetwork(parseAutoencoderConfig({ ...autoencoder.model, sample_size: size }));
  const network = denoiserFor(config, vae, 1);
  const random = new Random(0, 'plan');
  const side = size / (vae?.downscale ?? 1);
  const shape = [settings.batch_size, side, side, network.config.in_channels];
  const samples = random.normal(shape.reduce((a, b) => a * b));
  const labels = new Int32Array(settings.batch_size);
  const noising = new Noising(settings, random, 1);
  const vectors = freshVectors(initParams(network.specs, random));
  const trainer = new TrainStep(network.specs, diffusionLoss(network), vectors, undefined, {
    engine,
    threads,
  });
  let began = 0;
  try {
    for (let step = 1; step <= 1 + TIMED; step++) {
      options.signal?.throwIfAborted();
      if (step === 2) began = clock();
      await trainer.run(noising.batch({ samples, labels }, shape, step), step, 1e-4, 0.9);
    }
    return (clock() - began) / TIMED;
  } finally {
    await trainer.dispose();
  }
}

/** The ladder for a side that is settled: each preset once, the large pictures' network for these alone. */
function rungsFor(size: number | undefined): readonly Rung[] {
  if (size === undefined) return LADDER;
  const presets = new Map(LADDER.map((rung) => [rung.preset, { ...rung, size }]));
  if (size < 128) presets.delete('base');
  return [...presets.values()];
}

/**
 * Chooses a preset for the time that there is, by timing a few steps of each from the smallest up.
 * @throws InputError for a size that no preset's network can have
 */
export async function planByMinutes(options: PlanOptions): Promise<Plan> {
  const { minutes, size, engine = 'onnx' } = options;
  if (!isCompiled(engine)) await useEagerBackend(engine);
  const seconds = minutes * 60 * (1 - AUTOENCODER_SHARE) * 0.95;
  let chosen: Plan | undefined;
  for (const { preset, size: side, needs } of rungsFor(size)) {
    const config = { ...presetConfig(preset), size: side };
    // The next is several times slower: no need to time one that cannot do.
    if (chosen && chosen.seen < needs) break;
    const parsed = parseTrainConfig(config, `--minutes ${minutes}`);
    const pace = await paceOf(parsed, options);
    const seen = Math.round((seconds / pace) * parsed.diffusion.batch_size);
    if (chosen && seen < needs) break;
    chosen = { config, preset, size: side, minutes, pace, seen };
  }
  return chosen as Plan;
}
