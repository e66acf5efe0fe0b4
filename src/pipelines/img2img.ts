/** A picture drawn anew from another one: noised part of the way, then denoised (Meng et al. 2022, "SDEdit"). */
import { InputError } from '../errors.js';
import { type RgbPicture, toFloat } from '../image/index.js';
import { stepStarts } from '../schedulers/index.js';
import { denoise } from './denoise.js';
import type {
  DiffusionPipeline,
  FinishOptions,
  GeneratedPicture,
  PlannedPicture,
  SamplingOptions,
} from './diffusion-pipeline.js';
import { type Denoisers, denoiserFor } from './guided.js';
import { type LookOptions, steered, targetsOf } from './looks.js';
import { noiseOf } from './noise.js';

export interface Img2ImgOptions extends SamplingOptions, LookOptions, FinishOptions {
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
  const { image, strength = DEFAULT_STRENGTH, count = 1, eta, churn, rng, signal } = options;
  const [height, width] = pipeline.pictureSize;
  if (image.width !== width || image.height !== height) {
    throw new InputError(
      `the picture is ${image.width}×${image.height} — img2img — bring it to the model's ${width}×${height} first`,
    );
  }
  const size = pipeline.sampleSize();
  const plan = await pipeline.whole(pipeline.plan(options), size);
  const planned = pipeline.schedulerFor(options);
  const starts = stepStarts(planned);
  const calls = planned.timesteps.length;
  const start = starts[startingStep(starts.length, strength)] ?? calls;
  const shape = [...size, pipeline.model.unet.out_channels] as const;
  const { codec } = pipeline;
  const targets = await targetsOf(options, size, codec.reduction);
  const given = toFloat(image.data);
  // diffusers draws the latents of the picture, too, from what the autoencoder says of it.
  const known =
    rng === 'torch'
      ? await codec.encodeSpread(given, [height, width])
      : await codec.encode(given, [height, width]).then((mean) => () => mean);

  let done = 0;
  const sampleOf = ({ seed, condition }: PlannedPicture, denoisers: Denoisers): Promise<Float32Array> => {
    const scheduler = pipeline.schedulerFor(options);
    const draw = noiseOf(rng, seed, shape);
    const noised = (): Float32Array => {
      // At strength 1 nothing of the picture is left, though the noisiest level still has a trace of it, and diffusers
      // keeps that.
      if (start === 0 && rng !== 'torch') return draw('latents').map((x) => x * scheduler.initNoiseSigma);
      const original = known(() => draw('picture'));
      return start < calls
        ? scheduler.addNoise(original, draw('latents'), scheduler.timesteps[start])
        : original;
    };
    return denoise({
      denoiser: steered(denoiserFor(denoisers, scheduler, options), codec, scheduler, targets),
      scheduler,
      sample: noised(),
      start,
      size,
      condition,
      eta,
      churn,
      noise: (index) => draw('variance', index),
      signal,
      onStep: () => options.onStep?.(++done, count * (calls - start)),
    });
  };
  return pipeline.drawAll(plan, options, sampleOf, (sample, planned) =>
    pipeline.finish(sample, planned, size, options),
  );
}
