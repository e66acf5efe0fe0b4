/** Pictures between pictures: from one seed to another, from one label or text to another. */
import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../errors.js';
import { type Denoiser, denoise } from './denoise.js';
import type {
  DiffusionPipeline,
  FinishOptions,
  GeneratedPicture,
  PlannedPicture,
  SamplingOptions,
} from './diffusion-pipeline.js';
import { type Denoisers, denoiserFor } from './guided.js';
import { betweenNoises, type DrawNoise, noiseOf } from './noise.js';

export interface InterpolateOptions extends SamplingOptions, FinishOptions {
  /** Seeds of the pictures that the series passes through; two at least, or one of several labels or texts. */
  readonly seeds: readonly number[];
  /** A label, or one for each of these pictures. By default a picture's seed chooses one. */
  readonly label?: string | number | readonly (string | number)[];
  /** Texts, one for each of these pictures, in place of `prompt`. */
  readonly prompts?: readonly string[];
  /** Pictures from each of these to the next, the first of them included. Default 8. */
  readonly frames?: number;
  /** Whether the series leads back to its first picture, without drawing that again. Default false. */
  readonly closed?: boolean;
  readonly signal?: AbortSignal;
  /** Told after each call of the scheduler. */
  readonly onStep?: (done: number, total: number) => void;
  readonly onPicture?: (picture: InterpolatedPicture) => void | Promise<void>;
}

export interface InterpolatedPicture extends GeneratedPicture {
  /** How far it is on its way: 2.25 is a quarter of the way from the third picture to the fourth. */
  readonly position: number;
}

/** One frame: between which pictures, and how far. */
interface Frame extends PlannedPicture {
  readonly next: PlannedPicture;
  readonly t: number;
  readonly position: number;
}

/**
 * Draws a series that leads from picture to picture; each of them is the one that `generate` draws with its seed and label.
 * Between two the noise is on the arc from one's to the other's, and where their labels or texts differ, so is the
 * prediction: the mean of both, weighed by how near they are.
 * @throws InputError for options that the model cannot serve
 * @throws RunError when the network's numbers stop being numbers
 * @throws the signal's reason when it aborts; pictures done before were given to `onPicture`
 */
export async function interpolate(
  pipeline: DiffusionPipeline,
  options: InterpolateOptions,
): Promise<InterpolatedPicture[]> {
  const size = pipeline.sampleSize();
  const keys = await pipeline.whole(keysOf(pipeline, options), size);
  const frames = framesOf(keys, options);
  const calls = pipeline.schedulerFor(options).timesteps.length;
  const mixes = keys.some(({ condition }) => differs(condition, keys[0].condition));
  if (mixes && (options.cacheInterval ?? 1) > 1) {
    throw new InputError(
      'features cannot be kept where two labels are drawn at once — --fast — leave it out, or give one label',
    );
  }
  const { eta, churn, rng, signal } = options;
  const shape = [...size, pipeline.model.unet.out_channels] as const;
  let done = 0;
  const sampleOf = (_: PlannedPicture, denoisers: Denoisers, i: number): Promise<Float32Array> => {
    const { seed, condition, next, t } = frames[i];
    const scheduler = pipeline.schedulerFor(options);
    const draws = [seed, next.seed].map((one) => noiseOf(rng, one, shape));
    const noise: DrawNoise = (...name) => betweenNoises(draws[0](...name), draws[1](...name), t);
    const own = () => denoiserFor(denoisers, scheduler, options);
    const denoiser = differs(condition, next.condition) ? mixed(own(), own(), next.condition, t) : own();
    return denoise({
      denoiser,
      scheduler,
      sample: noise('latents').map((x) => x * scheduler.initNoiseSigma),
      size,
      condition,
      eta,
      churn,
      noise: (index) => noise('variance', index),
      signal,
      onStep: () => options.onStep?.(++done, frames.length * calls),
    });
  };
  return pipeline.drawAll<InterpolatedPicture>(frames, options, sampleOf, async (sample, frame) => ({
    ...(await pipeline.finish(sample, frame, size, options)),
    position: (frame as Frame).position,
  }));
}

/** The pictures that the series passes through. @throws InputError for too few, or numbers that do not fit */
function keysOf(pipeline: DiffusionPipeline, options: InterpolateOptions): PlannedPicture[] {
  const { seeds, label, prompts, ...sampling } = options;
  const labels = Array.isArray(label) ? (label as readonly (string | number)[]) : undefined;
  const count = Math.max(seeds.length, labels?.length ?? 0, prompts?.length ?? 0);
  for (const [option, given] of [
    ['--seeds', seeds],
    ['--label', labels],
    ['--prompt', prompts],
  ] as const) {
    if (given && given.length !== 1 && given.length !== count)
      throw new InputError(`${given.length} for ${count} pictures — ${option} — give one, or as many`);
  }
  if (count < 2)
    throw new InputError('one picture leads nowhere — --seeds — give two or more, or several labels');
  return Array.from({ length: count }, (_, i) => {
    const seed = seeds[i % seeds.length];
    const own = labels ? labels[i % labels.length] : (label as string | number | undefined);
    const told = prompts ? { prompt: prompts[i % prompts.length] } : {};
    return pipeline.plan({ ...sampling, ...told, count: 1, seed, label: own })[0];
  });
}

function framesOf(
  keys: readonly PlannedPicture[],
  { frames = 8, closed = false }: InterpolateOptions,
): Frame[] {
  if (!Number.isInteger(frames) || frames < 1)
    throw new InputError(`${frames} pictures are not possible — --frames — give a whole number from 1`);
  const ways = closed ? keys.length : keys.length - 1;
  const all: Frame[] = [];
  for (let i = 0; i < ways * frames; i++) {
    const [way, t] = [Math.floor(i / frames), (i % frames) / frames];
    all.push({ ...keys[way], next: keys[(way + 1) % keys.length], t, position: way + t });
  }
  const last = keys[keys.length - 1];
  return closed ? all : [...all, { ...last, next: last, t: 0, position: ways }];
}

type Condition = PlannedPicture['condition'];

const differs = (a: Condition, b: Condition): boolean => !isDeepStrictEqual(a, b);

/** Predicts for two conditions and takes the mean, weighed by `t`. Each has guidance of its own, which may remember. */
function mixed(
  from: Pick<Denoiser, 'predict'>,
  to: Pick<Denoiser, 'predict'>,
  next: Condition,
  t: number,
): Pick<Denoiser, 'predict'> {
  return {
    predict: async (sample, size, timestep, condition) => {
      const a = await from.predict(sample, size, timestep, condition);
      const b = await to.predict(sample, size, timestep, next);
      return a.map((x, i) => (1 - t) * x + t * b[i]);
    },
  };
}
