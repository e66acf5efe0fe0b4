/** Short runs of the networks: whether numbers stay numbers, and lie where they should. */

import { Codec } from '../pipelines/codec.js';
import { Denoiser } from '../pipelines/denoise.js';
import type { LoadedModel } from '../pipelines/model.js';
import type { PromptEncoder } from '../pipelines/text.js';
import { Random } from '../random.js';
import type { Scheduler } from '../schedulers/index.js';
import type { Findings } from './findings.js';
import { examinePrediction } from './prediction.js';

/** Where the standard deviation of scaled latents should lie: the diffusion model is trained for about 1. */
const LATENT_SPREAD = [0.3, 3] as const;
/** Where that of a prediction does: of ε, v and x_0 alike it is about 1. */
const PREDICTION_SPREAD = [1e-3, 100] as const;
/** Largest side of the picture that is tried. */
const LARGEST = 256;

export function spreadOf(values: Float32Array): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
}

/** A picture with soft shades, edges, stripes and a little grain: [side, side, 3] in [-1, 1]. */
export function syntheticPicture(side: number): Float32Array {
  const grain = new Random(0, 'doctor').uniform(side * side * 3);
  return Float32Array.from({ length: side * side * 3 }, (_, i) => {
    const c = i % 3;
    const [x, y] = [(Math.floor(i / 3) % side) / side, Math.floor(i / 3 / side) / side];
    const disc = Math.hypot(x - 0.35 - 0.1 * c, y - 0.4) < 0.25 ? 1.1 : 0;
    const stripes = y > 0.7 ? 0.5 * Math.sign(Math.sin(20 * Math.PI * x)) : 0;
    const value = 0.9 * (x - 0.5) + 0.6 * (c === 1 ? y : -y) + disc + stripes + 0.1 * (grain[i] - 0.5);
    return Math.max(-1, Math.min(1, value));
  });
}

const finite = (values: Float32Array): boolean => values.every(Number.isFinite);

/** Encodes a picture, looks at the latents' spread, and decodes it. */
export async function tryAutoencoder(
  model: Pick<LoadedModel, 'unet' | 'autoencoder'>,
  where: string,
  threads: number | undefined,
  findings: Findings,
): Promise<number | null> {
  const codec = new Codec(model, { threads });
  try {
    const own = model.unet.sample_size ?? 32;
    const side = Math.min((typeof own === 'number' ? own : Math.min(...own)) * codec.reduction, LARGEST);
    const size = Math.max(1, Math.floor(side / codec.reduction));
    const pixels = size * codec.reduction;
    const latents = await codec.encode(syntheticPicture(pixels), [pixels, pixels]);
    if (!finite(latents)) {
      findings.error(
        'autoencoder',
        `a picture encodes to NaN — ${where} — use the autoencoder that belongs to the model`,
      );
      return null;
    }
    const spread = spreadOf(latents);
    const [least, most] = LATENT_SPREAD;
    if (!(spread >= least && spread <= most))
      findings.warn(
        'autoencoder',
        `scaled latents of a picture have a standard deviation of ${spread.toPrecision(2)}, where ${least} to ${most} is usual — ${where} — check scaling_factor: about ${((model.autoencoder?.network.config.scaling_factor ?? 1) / spread).toPrecision(2)} would make it 1`,
      );
    await findings.attempt('autoencoder', () => codec.decode(latents, [size, size]));
    return spread;
  } finally {
    await codec.dispose();
  }
}

/** What a network's trial needs of its schedule. */
export type TriedSchedule = Pick<Scheduler, 'timesteps'> &
  Partial<Pick<Scheduler, 'alphasCumprod' | 'config'>>;

/** What more a trial may need to know. */
export interface TrialContext {
  /** For a network that knows texts. */
  readonly prompts?: PromptEncoder | null;
  /** Where the scheduler's config lies, for messages. */
  readonly schedulerConfig?: string;
}

/**
 * Predicts once halfway through the timesteps, from noise, and looks whether predictions are of the scheduler's type.
 * @returns the spread of the first prediction; null when it is no number
 */
export async function tryNetwork(
  { network, unetParams }: Pick<LoadedModel, 'network' | 'unetParams'>,
  { timesteps, alphasCumprod, config }: TriedSchedule,
  where: string,
  threads: number | undefined,
  findings: Findings,
  { prompts = null, schedulerConfig = where }: TrialContext = {},
): Promise<number | null> {
  const unet = network.config;
  const denoiser = new Denoiser(network, unetParams, { threads }, prompts);
  try {
    const own = unet.sample_size ?? (prompts ? 64 : 32);
    const size = typeof own === 'number' ? ([own, own] as const) : own;
    const random = new Random(0, 'doctor', 'noise');
    const label = unet.num_class_embeds === null ? null : 0;
    const condition = { label, nullLabel: null, guidanceScale: 1, prompt: '' };
    const predict = (sample: Float32Array, timestep: number) =>
      denoiser.predict(sample, [size[0], size[1]], timestep, condition);
    const length = size[0] * size[1] * unet.in_channels;
    const output = await predict(random.normal(length), timesteps[Math.floor(timesteps.length / 2)]);
    if (!finite(output)) {
      findings.error('network', `the network predicts NaN of noise — ${where} — use an earlier checkpoint`);
      return null;
    }
    const spread = spreadOf(output);
    const [least, most] = PREDICTION_SPREAD;
    if (!(spread >= least && spread <= most))
      findings.warn(
        'network',
        `predictions of noise have a standard deviation of ${spread.toPrecision(2)}, where about 1 is usual — ${where} — use a checkpoint that was trained`,
      );
    if (alphasCumprod && output.length === length && knows(network, alphasCumprod.length - 1)) {
      const trial = { predict, length, alphasCumprod, random };
      await examinePrediction(String(config?.prediction_type), trial, schedulerConfig, findings);
    }
    return spread;
  } finally {
    await denoiser.dispose();
  }
}

/** Whether a network knows all timesteps from 0 to the last, which levels of noise do not count by. */
function knows(network: LoadedModel['network'], last: number): boolean {
  try {
    network.checkTimesteps([0, last], '');
    return true;
  } catch {
    return false;
  }
}
