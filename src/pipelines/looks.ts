/** The looks that pictures are led to, from options as they are given. */
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { type Colour, PaletteTarget, type Scribble, ScribbleTarget, type Target } from '../guidance/index.js';
import type { AlphaPicture } from '../image/alpha.js';
import { type Size, toFloat } from '../image/index.js';
import { isDiffusion, type Sampler } from '../schedulers/index.js';
import type { Codec } from './codec.js';
import type { Denoiser } from './denoise.js';
import { SteeredDenoiser } from './steered.js';

export interface LookOptions {
  /**
   * Strokes and patches of colour that say roughly what goes where, of any size: its middle is brought to the picture's.
   * Where it is transparent it says nothing; without transparency, where it is white.
   */
  readonly scribble?: AlphaPicture;
  /** How closely the scribble is followed, above 0 and up to 1. Default `SCRIBBLE_STRENGTH`. */
  readonly scribbleStrength?: number;
  /** Colours that the picture is to be made of, two or more. */
  readonly palette?: readonly Colour[];
  /** How closely the palette is kept to, above 0 and up to 1. Default `PALETTE_STRENGTH`. */
  readonly paletteStrength?: number;
}

export const SCRIBBLE_STRENGTH = 0.5;
export const PALETTE_STRENGTH = 0.5;

/** @throws InputError for looks that say nothing, strengths out of range or of nothing, or another process than DDPM's */
export function checkLooks(options: LookOptions, scheduler: Sampler): void {
  const { scribble, palette } = options;
  for (const [option, look, strength] of [
    ['scribble', scribble, options.scribbleStrength],
    ['palette', palette, options.paletteStrength],
  ] as const) {
    if (strength !== undefined && look === undefined)
      throw new InputError(`a strength without a ${option} — --${option}-strength — give --${option}, too`);
    if (strength !== undefined && !(strength > 0 && strength <= 1))
      throw new InputError(
        `a strength of ${strength} is not possible — --${option}-strength — give a number above 0, up to 1`,
      );
    if (look !== undefined && !isDiffusion(scheduler))
      throw new InputError(
        `--${option} is for models of DDPM’s process — ${scheduler.toConfig()._class_name} — leave it out`,
      );
  }
  if (palette !== undefined) checkPalette(palette);
  if (scribble && strokesOf(scribble).every((alpha) => alpha === 0)) {
    const ground = scribble.alpha ? 'transparent' : 'white';
    throw new InputError(
      `the scribble is ${ground} everywhere, so it says nothing — --scribble — paint on it, in colours`,
    );
  }
}

/** @throws InputError for a palette of less than two colours, or what is no colour */
function checkPalette(palette: readonly Colour[]): void {
  const odd = palette.find((colour) => colour.length !== 3 || colour.some((x) => !(x >= 0 && x <= 255)));
  if (odd) throw new InputError(`[${odd}] is no colour — palette — give three numbers from 0 to 255`);
  if (new Set(palette.map(String)).size < 2)
    throw new InputError('a palette needs two colours or more — --palette — give more of them');
}

/**
 * What a picture is led to.
 * @param size height and width of its sample
 * @param reduction pixels along a side for one number of the sample
 * @throws InputError for a scribble of which nothing is left at the picture's size
 */
export async function targetsOf(
  options: LookOptions,
  size: readonly [number, number],
  reduction: number,
): Promise<Target[]> {
  const { scribble, scribbleStrength = SCRIBBLE_STRENGTH } = options;
  const { palette, paletteStrength = PALETTE_STRENGTH } = options;
  const [height, width] = size.map((side) => side * reduction);
  const targets: Target[] = [];
  if (scribble)
    targets.push(new ScribbleTarget(await fittedScribble(scribble, { width, height }), scribbleStrength));
  if (palette) targets.push(new PaletteTarget(palette, paletteStrength));
  return targets;
}

/**
 * DDIM's noise: under a scribble 1 unless told otherwise, since steps that add noise of their own mend what a strong hand
 * has left between one thing and another.
 */
export function etaOf(options: LookOptions & { readonly eta?: number }, scheduler: Sampler): number {
  return options.eta ?? scheduler.defaultEta ?? (options.scribble ? 1 : 0);
}

/** What predicts for one picture on its way to the targets; without any, the very denoiser given. */
export function steered(
  denoiser: Pick<Denoiser, 'predict'>,
  codec: Codec,
  scheduler: Sampler,
  targets: readonly Target[],
): Pick<Denoiser, 'predict'> {
  // `checkLooks` has seen to it that there are no targets with schedulers of another process.
  return targets.length > 0 && isDiffusion(scheduler)
    ? new SteeredDenoiser(denoiser, codec, scheduler, targets)
    : denoiser;
}

/** So far from white, of 255, counts as ground: lossy files have no pure white. A stroke is whole from the other on. */
const [GROUND, STROKE] = [8, 32];

/** How much each pixel of a scribble says, 0 to 255: its opacity or, if it has none, how far it is from white. */
function strokesOf({ data, width, height, alpha }: AlphaPicture): Uint8Array {
  if (alpha) return alpha;
  return Uint8Array.from({ length: width * height }, (_, p) => {
    const away = 255 - Math.min(data[3 * p], data[3 * p + 1], data[3 * p + 2]);
    return 255 * Math.min(1, Math.max(0, (away - GROUND) / (STROKE - GROUND)));
  });
}

async function fittedScribble(picture: AlphaPicture, { width, height }: Size): Promise<Scribble> {
  const strokes = strokesOf(picture);
  const rgba = new Uint8Array(strokes.length * 4);
  for (const [p, alpha] of strokes.entries()) {
    rgba.set(picture.data.subarray(3 * p, 3 * p + 3), 4 * p);
    rgba[4 * p + 3] = alpha;
  }
  const raw = { width: picture.width, height: picture.height, channels: 4 as const };
  // Sharper kernels overshoot at the edges of strokes.
  const fitted = await sharp(rgba, { raw, limitInputPixels: false })
    .resize(width, height, { fit: 'cover', kernel: 'linear' })
    .raw()
    .toBuffer();
  const pixels = Array.from({ length: width * height }, (_, p) => p);
  const colours = Uint8Array.from(pixels.flatMap((p) => [...fitted.subarray(4 * p, 4 * p + 3)]));
  const weights = Float32Array.from(pixels, (p) => fitted[4 * p + 3] / 255);
  if (weights.every((weight) => weight === 0))
    throw new InputError(
      `nothing of the scribble is left at ${width}×${height} — --scribble — paint in its middle, with wider strokes`,
    );
  return { width, height, colours: toFloat(colours), weights };
}
