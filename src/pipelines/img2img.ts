/** A picture drawn anew from another one: noised part of the way, then denoised (Meng et al. 2022, "SDEdit"). */
import { InputError } from '../errors.js';
import { type RgbPicture, toFloat } from '../image/index.js';
import { Random } from '../random.js';
import { stepStarts } from '../schedulers/index.js';
import { type Denoiser, denoise } from './denoise.js';
import type {
  DiffusionPipeline,
  GeneratedPicture,
  PlannedPicture,
  SamplingOptions,
} from './diffusion-pipeline.js';
import { chunks, together } from './together.js';

export interface Img2ImgOptions extends SamplingOptions {
  /** Of the model's size (`pipeline.pictureSize`). */
  readonly image: RgbPicture;
  /** How much is drawn anew: 0 gives the picture back (decoded, for latents), 1 does not look at it. Default 0.6. */
  readonly strength?: number;
  /** Default 1. */
  readonly count?: number;
  /** Picture i uses seed + i. Default 0. */
  readonly seed?: number;
  /** Label, or several that the pictures take in turn. By default a picture's seed chooses one. */
  readonly label?: string | number | readonly (string | number)[];
  readonly signal?: AbortSignal;
  /** Told after each call of the model: one a step with most schedulers. */
  readonly onStep?: (done: number, total: number) => void;
  /** Told of each picture when it is done, so that a stopped run keeps what it has. */
  readonly onPicture?: (picture: GeneratedPicture) => void | Promise<void>;
}

export const DEFAULT_STRENGTH = 0.6;

/**
 * The step that img2img starts with, by diffusers' rule: floor(steps·strength) of the steps are done, the last ones.
 * @param strength 0 to 1
 * @returns 0 for strength 1, `steps` (nothing is done) for strength 0
 * @throws InputError for a strength outside that, or so small that it would do nothing
 */
export function startingStep(steps: number, strength: number): number {
  if (!(strength >= 0 && strength <= 1))
    throw new InputError(
      `a strength of ${strength} is not possible — --strength — give a number from 0 to 1`,
    );
  const done = Math.min(Math.floor(steps * strength), steps);
  if (done > 0 || strength === 0) return steps - done;
  throw new InputError(
    `a strength of ${strength} is less than one of ${steps} steps — --strength — give ${Math.ceil(1000 / steps) / 1000} or more, or take more --steps`,
  );
}

/**
 * Draws variations of a picture. Picture i of seed s is the picture of seed s + i, whatever the count; at strength 1
 * it is the one that `generate` draws.
 * @throws InputError for options that the model cannot serve
 * @throws the signal's reason when it aborts; pictures done before were given to `onPicture`
 */
export async function img2img(
  pipeline: DiffusionPipeline,
  options: Img2ImgOptions,
): Promise<GeneratedPicture[]> {
  pipeline.requireWhole();
  const { image, strength = DEFAULT_STRENGTH, count = 1, seed = 0, eta, signal } = options;
  const [height, width] = pipeline.pictureSize;
  if (image.width !== width || image.height !== height) {
    throw new InputError(
      `the picture is ${image.width}×${image.height} — img2img — bring it to the model's ${width}×${height} first`,
    );
  }
  const { steps, scheduler: schedulerName, guidanceScale, prompt, negativePrompt, label } = options;
  const { batchSize, cacheInterval, cacheBranchId } = options;
  const speed = { batchSize, cacheInterval, cacheBranchId };
  const sampling = { steps, scheduler: schedulerName, eta, guidanceScale, prompt, negativePrompt, ...speed };
  const plan = pipeline.plan({ ...sampling, count, seed, label });
  const planned = pipeline.schedulerFor(sampling);
  const starts = stepStarts(planned);
  const calls = planned.timesteps.length;
  const start = starts[startingStep(starts.length, strength)] ?? calls;
  const size = pipeline.sampleSize();
  const known = await pipeline.codec.encode(toFloat(image.data), [height, width]);

  const pictures: GeneratedPicture[] = [];
  let done = 0;
  const sampleOf = ({ seed, condition }: PlannedPicture, denoiser: Denoiser): Promise<Float32Array> => {
    const scheduler = pipeline.schedulerFor(sampling);
    const random = new Random(seed);
    const normal = (...key: (string | number)[]) => random.fork(...key).normal(known.length);
    const noised = (): Float32Array => {
      // At strength 1 nothing of the picture is left, though the noisiest level still has a trace of it.
      if (start === 0) return normal('latents').map((x) => x * scheduler.initNoiseSigma);
      return start < calls ? scheduler.addNoise(known, normal('latents'), scheduler.timesteps[start]) : known;
    };
    return denoise({
      denoiser,
      scheduler,
      sample: noised(),
      start,
      size,
      condition,
      eta,
      noise: (index) => normal('variance', index),
      signal,
      onStep: () => options.onStep?.(++done, count * (calls - start)),
    });
  };
  for (const batch of chunks(plan, pipeline.batchSize(options, size))) {
    const samples = await together([pipeline.denoiser], batch.length, speed, ([denoiser], k) =>
      sampleOf(batch[k], denoiser),
    );
    for (const [k, { seed, label }] of batch.entries()) {
      const picture = { ...(await pipeline.decode(samples[k], size)), seed, label };
      pictures.push(picture);
      await options.onPicture?.(picture);
    }
  }
  return pictures;
}
