/**
 * Inpainting with a model that was not trained for it: at every step the kept part is put back, noised to the
 * step's level, so that what is painted fits what is kept.
 */
import { InputError } from '../errors.js';
import { type RgbPicture, toFloat } from '../image/index.js';
import { Random } from '../random.js';
import type { Scheduler } from '../schedulers/index.js';
import { type Condition, requireFinite } from './denoise.js';
import {
  checkSeed,
  type DiffusionPipeline,
  type GeneratedPicture,
  type SamplingOptions,
} from './diffusion-pipeline.js';
import { cutMask, cutPicture, feather, type PaintMask, paste, regionOf } from './region.js';

export const INPAINT_METHODS = ['replace', 'repaint'] as const;
export type InpaintMethod = (typeof INPAINT_METHODS)[number];

export interface InpaintOptions extends SamplingOptions {
  readonly image: RgbPicture;
  /** Of the image's size: above 0 is painted, values below 1 blend. */
  readonly mask: PaintMask;
  /** Default 'repaint'. */
  readonly method?: InpaintMethod;
  /** RePaint: how many steps are taken back at a time. */
  readonly jumpLength?: number;
  /** RePaint: how often each stretch of steps is denoised. */
  readonly jumps?: number;
  /** Pixels over which the edge fades in, on the painted side. */
  readonly feather?: number;
  readonly count?: number;
  readonly seed?: number;
  readonly label?: string | number | readonly (string | number)[];
  readonly signal?: AbortSignal;
  readonly onStep?: (done: number, total: number) => void;
  readonly onPicture?: (picture: GeneratedPicture) => void | Promise<void>;
}

export const inpaintDefaults = { method: 'repaint', jumpLength: 5, jumps: 4, feather: 2 } as const;

/** One move of a schedule: denoise from a level to the next, or go back up by adding noise. */
export type Move = { readonly down: number } | { readonly up: number };

/**
 * RePaint's schedule (Lugmayr et al. 2022, section 4.2): after every `jumpLength` steps those steps are noised
 * again and denoised anew, until they were done `jumps` times.
 * @param steps number of denoising steps; level i is before step i, level `steps` is the clean picture
 * @returns moves: `down: i` does step i (level i to i + 1), `up: i` noises from the present level back to level i
 */
export function repaintSchedule(steps: number, jumpLength: number, jumps: number): Move[] {
  const moves: Move[] = [];
  for (let start = 0; start < steps; start += jumpLength) {
    const end = Math.min(start + jumpLength, steps);
    for (let turn = 0; turn < jumps; turn++) {
      if (turn > 0) moves.push({ up: start });
      for (let i = start; i < end; i++) moves.push({ down: i });
    }
  }
  return moves;
}

/**
 * Paints the masked part of a picture anew. Pixels that the mask keeps are the same bytes in the result, in latent
 * space too.
 * @throws InputError when sizes differ, nothing is painted, or the model or method cannot serve
 */
export async function inpaint(
  pipeline: DiffusionPipeline,
  options: InpaintOptions,
): Promise<GeneratedPicture[]> {
  const settings = { ...inpaintDefaults, count: 1, seed: 0, ...options };
  const { image, count, seed, method, jumps, jumpLength, signal, onStep } = settings;
  check(settings);
  const [side, other] = pipeline.pictureSize;
  if (side !== other)
    throw new InputError('the model draws oblong pictures — inpaint — use a model of square ones');
  const mask = feather(options.mask, settings.feather);
  const region = regionOf(options.mask, side);
  const size = pipeline.sampleSize();
  const picture = await cutPicture(image, region, side);
  const known = await pipeline.codec.encode(toFloat(picture.data), [side, side]);
  const channels = known.length / (size[0] * size[1]);
  const painted = sampleMask(cutMask(options.mask, region, side), side, pipeline.codec.reduction, channels);
  const labels = Array.isArray(options.label)
    ? options.label
    : [options.label as string | number | undefined];
  const conditions = Array.from({ length: count }, (_, i) =>
    pipeline.condition(seed + i, labels[i % labels.length], options.guidanceScale),
  );
  const results: GeneratedPicture[] = [];
  for (const [i, { name, ...condition }] of conditions.entries()) {
    const scheduler = pipeline.scheduler(options);
    if (method === 'repaint') requireAncestral(scheduler);
    const steps = scheduler.timesteps.length;
    const moves =
      method === 'repaint' ? repaintSchedule(steps, jumpLength, jumps) : repaintSchedule(steps, steps, 1);
    const job: Job = {
      pipeline,
      scheduler,
      condition,
      size,
      known,
      painted,
      moves,
      eta: options.eta,
      signal,
    };
    const sample = await paint(job, new Random(seed + i, 'inpaint'), (done) =>
      onStep?.(i * moves.length + done, count * moves.length),
    );
    const drawn = await pipeline.codec.decode(sample, size);
    const done = { ...(await paste(image, mask, region, drawn, side)), seed: seed + i, label: name };
    results.push(done);
    await options.onPicture?.(done);
  }
  return results;
}

interface Job {
  readonly pipeline: DiffusionPipeline;
  readonly scheduler: Scheduler;
  readonly condition: Condition;
  readonly size: readonly [number, number];
  /** The clean sample of the given picture. */
  readonly known: Float32Array;
  /** 1 where the sample is painted, else 0. */
  readonly painted: Uint8Array;
  readonly moves: readonly Move[];
  readonly eta?: number;
  readonly signal?: AbortSignal;
}

async function paint(job: Job, random: Random, onMove: (done: number) => void): Promise<Float32Array> {
  const { pipeline, scheduler, condition, size, known, painted, moves, eta, signal } = job;
  const { timesteps } = scheduler;
  const n = known.length;
  const normal = (...key: (string | number)[]) => random.fork(...key).normal(n);
  /** The kept part at a level: noised as far as the sample is. */
  const keep = (sample: Float32Array, level: number, move: number) => {
    const at =
      level < timesteps.length ? scheduler.addNoise(known, normal('keep', move), timesteps[level]) : known;
    return sample.map((x, i) => (painted[i] ? x : at[i]));
  };
  let level = 0;
  let sample: Float32Array = normal('latents').map((x) => x * scheduler.initNoiseSigma);
  sample = keep(sample, 0, -1);
  for (const [k, move] of moves.entries()) {
    signal?.throwIfAborted();
    if ('up' in move) {
      sample = noiseUp(sample, alphaAt(scheduler, level), alphaAt(scheduler, move.up), normal('up', k));
      level = move.up;
    } else {
      const timestep = timesteps[move.down];
      const output = await pipeline.denoiser.predict(
        scheduler.scaleModelInput(sample, timestep),
        size,
        timestep,
        condition,
      );
      const { prevSample } = scheduler.step(output, timestep, sample, {
        eta,
        noise: () => normal('variance', k),
      });
      level = move.down + 1;
      sample = keep(prevSample, level, k);
    }
    onMove(k + 1);
  }
  requireFinite(sample);
  return sample;
}

/** ᾱ of a level of the schedule; 1 for the clean picture. */
function alphaAt({ timesteps, alphasCumprod }: Scheduler, level: number): number {
  return level < timesteps.length ? alphasCumprod[timesteps[level]] : 1;
}

/** q(x_t | x_s) for t noisier than s: √(ᾱ_t/ᾱ_s)·x + √(1 - ᾱ_t/ᾱ_s)·ε (Ho et al. 2020, eq. 2, over several steps). */
export function noiseUp(sample: Float32Array, from: number, to: number, noise: Float32Array): Float32Array {
  const ratio = to / from;
  const [a, b] = [Math.sqrt(ratio), Math.sqrt(Math.max(0, 1 - ratio))];
  return sample.map((x, i) => a * x + b * noise[i]);
}

/**
 * Which numbers of the sample are painted. In latent space every latent that a painted pixel touches is, and its
 * neighbours, whose values the painted pixels have coloured too.
 */
export function sampleMask(
  mask: Float32Array,
  side: number,
  reduction: number,
  channels: number,
): Uint8Array {
  const cells = side / reduction;
  const touched = new Uint8Array(cells * cells);
  const reach = reduction > 1 ? 1 : 0;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      if (mask[y * side + x] <= 0) continue;
      const [cy, cx] = [Math.floor(y / reduction), Math.floor(x / reduction)];
      for (let v = Math.max(0, cy - reach); v <= Math.min(cells - 1, cy + reach); v++) {
        for (let u = Math.max(0, cx - reach); u <= Math.min(cells - 1, cx + reach); u++)
          touched[v * cells + u] = 1;
      }
    }
  }
  return Uint8Array.from({ length: cells * cells * channels }, (_, i) => touched[Math.floor(i / channels)]);
}

function requireAncestral(scheduler: Scheduler): void {
  const name = String(scheduler.toConfig()._class_name);
  if (name === 'DDPMScheduler' || name === 'DDIMScheduler') return;
  throw new InputError(
    `repaint cannot go back in time with ${name} — --scheduler — use ddim or ddpm, or --method replace`,
  );
}

function check(
  o: InpaintOptions & {
    method: string;
    jumpLength: number;
    jumps: number;
    feather: number;
    count: number;
    seed: number;
  },
): void {
  const { image, mask } = o;
  if (image.width !== mask.width || image.height !== mask.height) {
    throw new InputError(
      `the mask is ${mask.width}×${mask.height}, the picture ${image.width}×${image.height} — inpaint — give a mask of the picture's size`,
    );
  }
  if (mask.data.every((m) => m <= 0)) {
    throw new InputError(
      'the mask is black everywhere, so nothing is painted — --mask — paint white what is to be drawn anew, or use --invert-mask',
    );
  }
  if (!INPAINT_METHODS.some((m) => m === o.method)) {
    throw new InputError(
      `the method ${o.method} is unknown — --method — use ${INPAINT_METHODS.join(' or ')}`,
    );
  }
  for (const [option, value] of Object.entries({
    count: o.count,
    'jump-length': o.jumpLength,
    jumps: o.jumps,
  })) {
    if (!Number.isInteger(value) || value < 1)
      throw new InputError(`${value} is not possible — --${option} — give a whole number from 1`);
  }
  if (!(o.feather >= 0))
    throw new InputError(`${o.feather} is not possible — --feather — give a number of pixels from 0`);
  checkSeed(o.seed);
}
