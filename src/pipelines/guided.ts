/** The denoiser of one picture, under guidance other than the plain one. */
import { conversionCoefficients } from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import {
  checkInterval,
  checkRescale,
  classifierFree,
  type GuidanceInterval,
  ProjectedGuidance,
  type ProjectedOptions,
  projectedOptions,
  rescaleGuidance,
  withinInterval,
} from '../guidance/index.js';
import { isDiffusion, type Sampler, type Scheduler } from '../schedulers/index.js';
import { blending } from './blend.js';
import type { Condition, Denoiser } from './denoise.js';

export interface GuidanceOptions {
  /** How much of its contrast guidance gives back (φ of Lin et al. 2023), 0 to 1. Default 0. */
  readonly guidanceRescale?: number;
  /** Noise levels σ at which there is guidance; at others there is none. Default all. */
  readonly guidanceInterval?: GuidanceInterval;
  /** Adaptive projected guidance in place of the plain one. */
  readonly apg?: ProjectedOptions;
}

/** Whether any of them changes what is drawn. */
export function variesGuidance({ guidanceRescale, guidanceInterval, apg }: GuidanceOptions): boolean {
  return (guidanceRescale ?? 0) !== 0 || guidanceInterval !== undefined || apg !== undefined;
}

/** @throws InputError for options out of range */
export function checkGuidance({ guidanceRescale, guidanceInterval, apg }: GuidanceOptions): void {
  if (guidanceRescale !== undefined) checkRescale(guidanceRescale);
  if (guidanceInterval !== undefined) checkInterval(guidanceInterval);
  if (apg !== undefined) projectedOptions(apg);
}

/** @throws InputError for options that need the noise levels of DDPM's process, and a scheduler of another */
export function requireLevels({ guidanceInterval, apg }: GuidanceOptions, scheduler: Sampler): void {
  if ((guidanceInterval === undefined && apg === undefined) || isDiffusion(scheduler)) return;
  const option = apg ? '--apg' : '--guidance-interval';
  throw new InputError(
    `${option} is for models of DDPM’s process — ${scheduler.toConfig()._class_name} — leave it out`,
  );
}

/**
 * @param led whether a weaker model guides
 * @param scale weight of guidance
 * @throws InputError for options that would change nothing, since there is no guidance
 */
export function requireGuidance(
  options: GuidanceOptions & { readonly negativeLabel?: string | number },
  led: boolean,
  scale: number,
): void {
  if (scale !== 1) return;
  const given: [option: string, given: boolean][] = [
    ['--guidance-rescale', Boolean(options.guidanceRescale)],
    ['--guidance-interval', options.guidanceInterval !== undefined],
    ['--apg', options.apg !== undefined],
    ['--negative-label', options.negativeLabel !== undefined],
    ['--guide', led],
  ];
  const idle = given.find(([, is]) => is);
  if (!idle) return;
  throw new InputError(
    `${idle[0]} changes nothing without guidance — --guidance — give another number than 1`,
  );
}

/** What predicts for one picture: the network, and a weaker one that guides. */
export interface Denoisers {
  readonly own: Denoiser;
  readonly guide: Denoiser | null;
}

/**
 * What predicts for one picture under its guidance.
 * @param scheduler that the picture is drawn with
 * @throws InputError for options of guidance out of range, or that do not go with the scheduler
 */
export function denoiserFor(
  { own, guide }: Denoisers,
  scheduler: Sampler,
  options: GuidanceOptions,
): Pick<Denoiser, 'predict'> {
  const varies = guide !== null || variesGuidance(options);
  return blending(() => (varies ? new GuidedDenoiser(own, guide, scheduler, options) : own));
}

/** Predicts under guidance; it may remember the steps before, so each picture has its own. */
export class GuidedDenoiser implements Pick<Denoiser, 'predict'> {
  private readonly projected: ProjectedGuidance | null;

  /**
   * @param guide a weaker network that guidance leads away from, rather than from the prediction without label or text
   * (autoguidance, Karras et al. 2024, "Guiding a diffusion model with a bad version of itself", eq. 3); null: none
   * @param scheduler that the picture is drawn with
   * @throws InputError for options out of range
   */
  constructor(
    private readonly denoiser: Denoiser,
    private readonly guide: Denoiser | null,
    private readonly scheduler: Sampler,
    private readonly options: GuidanceOptions,
  ) {
    checkGuidance(options);
    requireLevels(options, scheduler);
    this.projected = options.apg ? new ProjectedGuidance(options.apg) : null;
  }

  /** As `Denoiser.predict`; the scheduler is at this timestep. */
  async predict(
    sample: Float32Array,
    size: readonly [number, number],
    timestep: number,
    condition: Condition,
  ): Promise<Float32Array> {
    const { guidanceScale: scale } = condition;
    const { guidanceInterval, guidanceRescale = 0 } = this.options;
    const plain = { ...condition, guidanceScale: 1 };
    if (scale === 1 || (guidanceInterval && !withinInterval(guidanceInterval, this.alphaProd(timestep))))
      return this.denoiser.predict(sample, size, timestep, plain);
    const { conditional, other } = this.guide
      ? {
          conditional: await this.denoiser.predict(sample, size, timestep, plain),
          other: await this.guide.predict(sample, size, timestep, plain),
        }
      : await this.denoiser.pair(sample, size, timestep, condition);
    if (!other) return conditional;
    const guided = this.projected
      ? this.project(this.projected, conditional, other, sample, this.alphaProd(timestep), scale)
      : classifierFree(conditional, other, scale);
    return guidanceRescale === 0 ? guided : rescaleGuidance(guided, conditional, guidanceRescale);
  }

  /** ᾱ of the level at which the network is called. */
  private alphaProd(timestep: number): number {
    const scheduler = this.scheduler as Scheduler;
    return scheduler.alphaProd?.(timestep) ?? scheduler.alphasCumprod[timestep];
  }

  /** Projects between pictures, x_0, whatever it is that the network predicts: "along the picture" means that. */
  private project(
    projected: ProjectedGuidance,
    conditional: Float32Array,
    other: Float32Array,
    sample: Float32Array,
    alphaProd: number,
    scale: number,
  ): Float32Array {
    const type = (this.scheduler as Scheduler).config.prediction_type;
    const to = conversionCoefficients(type, 'sample', alphaProd);
    const pictureOf = (output: Float32Array) =>
      output.map((value, i) => to.output * value + to.sample * sample[i]);
    const guided = projected.apply(pictureOf(conditional), pictureOf(other), scale);
    return guided.map((x, i) => (x - to.sample * sample[i]) / to.output);
  }
}
