/**
 * Inpainting. With a model that was not trained for it, the kept part is put back at every step, noised to the step's
 * level, so that what is painted fits what is kept; one that was trained for it is shown what is kept.
 */
import { InputError } from '../errors.js';
import type { AlphaPicture } from '../image/alpha.js';
import { toFloat } from '../image/index.js';
import { denoise } from './denoise.js';
import type {
  DiffusionPipeline,
  GeneratedPicture,
  PlannedPicture,
  SamplingOptions,
} from './diffusion-pipeline.js';
import { drawnKeptChannels, keptChannels } from './fill-in.js';
import { type Denoisers, denoiserFor } from './guided.js';
import { noiseOf } from './noise.js';
import { paint } from './paint.js';
import { cutMask, feather, type PaintMask, sampleMask } from './paint-mask.js';
import {
  BLENDS,
  type Blend,
  cutPicture,
  INPAINT_AREAS,
  type InpaintArea,
  paste,
  type Region,
  regionOf,
} from './region.js';
import { type Move, plainSchedule, repaintSchedule, requireResampling } from './repaint.js';

export const INPAINT_METHODS = ['replace', 'repaint'] as const;
/** `replace` visits every step once; `repaint` (Lugmayr et al. 2022) goes back up and down again for a better fit. */
export type InpaintMethod = (typeof INPAINT_METHODS)[number];

export interface InpaintOptions extends SamplingOptions {
  readonly image: AlphaPicture;
  /** Of the image's size: above 0 is painted, values below 1 blend. */
  readonly mask: PaintMask;
  /** Default 'repaint'. A model that was trained for inpainting has a way of its own, and takes none. */
  readonly method?: InpaintMethod;
  /** RePaint: how many steps are taken back at a time (j of the paper). Default 5. */
  readonly jumpLength?: number;
  /** RePaint: how often each stretch of steps is denoised (r of the paper). Default 4. */
  readonly jumps?: number;
  /**
   * DDIM's noise, 0 to 1. Default 1: steps that add noise of their own let what is painted fit what is kept better.
   * A model that was trained for inpainting has the scheduler's default.
   */
  readonly eta?: number;
  /** Weight of guidance. Default 1, none: the kept part guides already. With a prompt, the model's own. */
  readonly guidanceScale?: number;
  /**
   * What the model sees of a picture larger than its own: all of it, or the surroundings of what is painted. Default
   * 'auto': all up to four times the model's size.
   */
  readonly area?: InpaintArea;
  /**
   * How what is painted meets what is kept. Default 'poisson': pixels that are decoded from latents or resized never fit
   * to the byte. It changes nothing where the model draws the picture's very pixels, since what it keeps is the picture.
   */
  readonly blend?: Blend;
  /**
   * Pixels over which what is painted fades in over what the picture has there, on the painted side. Default 0: what was
   * there shows through.
   */
  readonly feather?: number;
  /** Default 1. */
  readonly count?: number;
  /** Picture i uses seed + i. Default 0. */
  readonly seed?: number;
  /** Label, or several that the pictures take in turn. By default none, if the model knows what it is to have none. */
  readonly label?: string | number | readonly (string | number)[];
  readonly signal?: AbortSignal;
  /** Told after each move down or up of a step. */
  readonly onStep?: (done: number, total: number) => void;
  /** Told of each picture when it is done, so that a stopped run keeps what it has. */
  readonly onPicture?: (picture: InpaintedPicture) => void | Promise<void>;
}

export interface InpaintedPicture extends GeneratedPicture, AlphaPicture {
  /** What the model saw. */
  readonly region: Region;
  /** How it meets what is kept, and the pixels over which it fades in. */
  readonly blend: Blend;
  readonly feather: number;
}

/**
 * Measured where the right answer is known, on pairs of correlation 0.8 with one of them kept, 30 steps of DDIM: the
 * painted one depends on the kept one by 0.36 with `replace` and η = 0, 0.48 with η = 1; `repaint` with 4 jumps gives
 * 0.69 at length 3, 0.66 at 5 and 0.58 at 10, with 10 jumps 0.74 at length 2. The paper's length of 10 is for 250 steps.
 * docs/inpainting.md has what the same settings do to pictures, for which 5 is better than 3.
 */
export const inpaintDefaults = {
  method: 'repaint',
  jumpLength: 5,
  jumps: 4,
  eta: 1,
  guidanceScale: 1,
  area: 'auto',
  blend: 'poisson',
  feather: 0,
  count: 1,
  seed: 0,
} as const satisfies Partial<InpaintOptions>;

/** The defaults of some model: `inpaintDefaults`, but for what texts and training for inpainting change. */
export function inpaintDefaultsOf({ model }: DiffusionPipeline) {
  return {
    ...inpaintDefaults,
    ...(model.text && { guidanceScale: model.defaults.guidanceScale }),
    ...(model.paints && { method: undefined, eta: undefined }),
  };
}

/**
 * Paints the masked part of a picture anew. Pixels that the mask keeps are the same bytes in the result, in latent
 * space too. Picture i of seed s is the picture of seed s + i, whatever the count.
 * @throws InputError when sizes differ, nothing is painted, or the model or method cannot serve
 * @throws the signal's reason when it aborts; pictures done before were given to `onPicture`
 */
export async function inpaint(
  pipeline: DiffusionPipeline,
  options: InpaintOptions,
): Promise<InpaintedPicture[]> {
  const settings = withDefaults(pipeline, options);
  check(pipeline, settings);
  const { image, blend, feather: radius } = settings;
  const plan = planOf(pipeline, settings);
  const { side, region, seen, picture } = await prepare(pipeline, settings);
  const weights = feather(settings.mask, radius);
  const draw = pipeline.model.paints
    ? await byTraining(pipeline, settings, picture, seen, side)
    : await byReplacing(pipeline, settings, picture, seen, side, region.side === side);
  const size = pipeline.sampleSize();
  let moved = 0;
  return pipeline.drawAll(
    plan,
    settings,
    (planned, denoisers) =>
      draw(planned, denoisers, (total) => settings.onStep?.(++moved, plan.length * total)),
    async (sample, { seed, label }) => {
      const drawn = await pipeline.codec.decode(sample, size);
      const pasted = await paste(image, weights, region, drawn, side, blend);
      return { ...pasted, seed, label, region, blend, feather: radius };
    },
  );
}

/** Draws one sample: [h, w, C]. */
type Draw = (
  picture: PlannedPicture,
  denoisers: Denoisers,
  /** Told after each of `total` moves. */
  onMove: (total: number) => void,
) => Promise<Float32Array>;

/** With a network that was trained for inpainting: it is shown the mask and what is kept. */
async function byTraining(
  pipeline: DiffusionPipeline,
  settings: Settings,
  picture: Float32Array,
  seen: Float32Array,
  side: number,
): Promise<Draw> {
  const { codec, model } = pipeline;
  const { eta, churn, rng, signal } = settings;
  const size = pipeline.sampleSize();
  const mean = rng === 'torch' ? null : await keptChannels(codec, picture, seen, side);
  const channels = mean ? () => mean : await drawnKeptChannels(codec, picture, seen, side);
  return ({ condition, seed }, denoisers, onMove) => {
    const scheduler = pipeline.schedulerFor(settings);
    const draw = noiseOf(rng, seed, [...size, model.unet.out_channels]);
    // In diffusers' order: the start, then what is kept.
    const sample = draw('latents').map((x) => x * scheduler.initNoiseSigma);
    return denoise({
      denoiser: denoiserFor(denoisers, scheduler, settings),
      scheduler,
      sample,
      size,
      condition: { ...condition, channels: channels(draw) },
      eta,
      churn,
      noise: (index) => draw('variance', index),
      signal,
      onStep: () => onMove(scheduler.timesteps.length),
    });
  };
}

/** With any other network: the kept part is put back at every step. */
async function byReplacing(
  pipeline: DiffusionPipeline,
  settings: Settings,
  picture: Float32Array,
  seen: Float32Array,
  side: number,
  unscaled: boolean,
): Promise<Draw> {
  const { codec } = pipeline;
  const { eta, churn, rng, signal } = settings;
  const size = pipeline.sampleSize();
  const known = await codec.encode(picture, [side, side]);
  const channels = known.length / (side / codec.reduction) ** 2;
  const grow = codec.reduction === 1 && unscaled ? 0 : 1;
  const painted = sampleMask(seen, side, codec.reduction, channels, grow);
  const moves = movesOf(settings, pipeline, painted);
  return ({ condition, seed }, denoisers, onMove) => {
    const scheduler = pipeline.schedulerFor(settings);
    const denoiser = denoiserFor(denoisers, scheduler, settings);
    return paint({
      predict: (input, timestep) => denoiser.predict(input, size, timestep, condition),
      scheduler,
      known,
      painted,
      moves,
      noise: noiseOf(rng, seed, [...size, channels]),
      eta,
      churn,
      signal,
      onMove: () => onMove(moves.length),
    });
  };
}

/** Defaults filled in; method and eta stay open where a network has its own way. */
type Settings = InpaintOptions & {
  readonly [Key in Exclude<keyof typeof inpaintDefaults, 'method' | 'eta'>]-?: NonNullable<
    InpaintOptions[Key]
  >;
};

/** An option given as undefined is not given. */
function withDefaults(pipeline: DiffusionPipeline, options: InpaintOptions): Settings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...inpaintDefaultsOf(pipeline), ...Object.fromEntries(given) } as Settings;
}

function planOf(pipeline: DiffusionPipeline, settings: Settings): PlannedPicture[] {
  const plan = pipeline.plan(settings);
  const { label } = settings;
  const { nullLabel } = pipeline.model;
  // A label drawn by lot, as `generate` does it, would hardly be that of the picture.
  if (label !== undefined || nullLabel === null) return plan;
  return plan.map(({ seed, condition }) => ({
    seed,
    label: null,
    condition: { ...condition, label: nullLabel },
  }));
}

/** What all versions share: the part of the picture that the model sees, at its size, and what of it is painted. */
async function prepare(pipeline: DiffusionPipeline, settings: Settings) {
  const { image, mask, area } = settings;
  const [height, width] = pipeline.pictureSize;
  if (height !== width) {
    throw new InputError(
      `the model draws pictures of ${width}×${height} — inpaint — use a model of square pictures`,
    );
  }
  const side = width;
  const region = regionOf(mask, side, area);
  const { data } = await cutPicture(image, region, side);
  return { side, region, seen: cutMask(mask, region, side), picture: toFloat(data) };
}

function movesOf(settings: Settings, pipeline: DiffusionPipeline, painted: Uint8Array): Move[] {
  const scheduler = pipeline.schedulerFor(settings);
  const steps = scheduler.timesteps.length;
  if (settings.method === 'replace') return plainSchedule(steps);
  requireResampling(scheduler);
  // With nothing to fit to, going back up only costs time.
  const free = painted.every((p) => p === 1);
  return free ? plainSchedule(steps) : repaintSchedule(steps, settings.jumpLength, settings.jumps);
}

function check({ model }: DiffusionPipeline, settings: Settings): void {
  const { image, mask, method, area, blend, feather: radius, jumps, jumpLength } = settings;
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
  if (method !== undefined) requireOneOf('method', method, INPAINT_METHODS);
  if (method !== undefined && model.paints) {
    throw new InputError(
      `method ${method} is for models that were not trained to fill in, this one was — --method — leave it out`,
    );
  }
  requireOneOf('area', area, INPAINT_AREAS);
  requireOneOf('blend', blend, BLENDS);
  for (const [name, value] of Object.entries({ 'jump-length': jumpLength, jumps })) {
    if (!Number.isInteger(value) || value < 1)
      throw new InputError(`${value} is not possible — --${name} — give a whole number from 1`);
  }
  if (!(radius >= 0 && Number.isFinite(radius)))
    throw new InputError(`${radius} is not possible — --feather — give a number of pixels from 0`);
}

function requireOneOf(name: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  throw new InputError(`${value} is unknown — --${name} — use ${known.join(', ')}`);
}
