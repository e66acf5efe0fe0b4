/** What a rendered data set is made of, and how a scene becomes pixels. */
import sharp from 'sharp';
import type { RgbPicture } from '../../image/index.js';
import type { Random } from '../../random.js';
import type { Canvas, Dice, Point } from './canvas.js';

/** Irregularities over the drawn forms, which would be too clean otherwise. */
export interface Finish {
  /** Standard deviation of the noise of each pixel, in levels of 255. */
  readonly grain: number;
  /** Cloudy texture in levels of 255 on the pixels of each class, the background first; the last holds for the rest. */
  readonly texture: readonly number[];
  /** Size of the texture's clouds in units of the scene. */
  readonly clouds: number;
  /** How many times longer than high the clouds are: 1 is round, 6 is brushed metal or wood. */
  readonly stretch: number;
  /** Light falls off across the picture by up to so many levels. */
  readonly light: number;
  /** Standard deviation of a blur in pixels of a picture of 128; 0: sharp. */
  readonly blur: number;
}

export interface RenderedKind {
  /** What kind of pictures it stands for, one line. */
  readonly summary: string;
  /** Field of application. */
  readonly family: string;
  readonly classes: readonly { readonly name: string; readonly mask: string; readonly colour?: string }[];
  readonly defaultCount: number;
  /** The class whose things `draw` counts, where each stands by itself or touches only. */
  readonly counted?: string;
  /** Pictures of one clip: they form a group, and show the same things a moment later. Default 1. */
  readonly frames?: number;
  /**
   * Draws a scene.
   * @param frame of the clip, from 0; draw everything else alike
   */
  draw(canvas: Canvas, dice: Dice, frame: number): Scene;
}

export interface Scene {
  /** How many things there are. */
  readonly objects: number;
  readonly finish: Finish;
  /** Things that move: class and middle in units of the scene, in one order through the frames of a clip. */
  readonly movers?: readonly { readonly label: number; readonly at: Point }[];
}

/** Smooth noise of about -1…1 on a lattice of `cells` across and down, with two finer octaves. */
export function cloudField(random: Random, size: number, across: number, down: number): Float32Array {
  const out = new Float32Array(size * size);
  const smooth = (t: number) => t * t * (3 - 2 * t);
  for (let octave = 0; octave < 3; octave++) {
    const [w, h] = [Math.ceil(across * 2 ** octave) + 2, Math.ceil(down * 2 ** octave) + 2];
    const lattice = random.uniform(w * h);
    const strength = 2 * 0.5 ** octave * (1 / 1.75);
    for (let y = 0; y < size; y++) {
      const v = (y / size) * down * 2 ** octave;
      const [j, fy] = [Math.floor(v), smooth(v - Math.floor(v))];
      for (let x = 0; x < size; x++) {
        const u = (x / size) * across * 2 ** octave;
        const [i, fx] = [Math.floor(u), smooth(u - Math.floor(u))];
        const upper = lattice[j * w + i] * (1 - fx) + lattice[j * w + i + 1] * fx;
        const lower = lattice[(j + 1) * w + i] * (1 - fx) + lattice[(j + 1) * w + i + 1] * fx;
        out[y * size + x] += strength * (upper * (1 - fy) + lower * fy - 0.5);
      }
    }
  }
  return out.map((value) => value * 2);
}

/**
 * Rasterizes a scene: RGB bytes and the mask's colours, both [size, size, 3].
 * @param frame has a grain of its own; the clouds and the light are those of `random`
 */
export async function render(
  canvas: Canvas,
  finish: Finish,
  maskColours: readonly string[],
  size: number,
  random: Random,
  frame = 0,
): Promise<{ picture: RgbPicture; mask: RgbPicture }> {
  const svg = canvas.svg(size);
  const raster = async (text: string, blur: number) => {
    let image = sharp(Buffer.from(text)).flatten({ background: '#000000' });
    if (blur > 0) image = image.blur(blur);
    const { data } = await image.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
    return new Uint8Array(data);
  };
  const blur = (finish.blur * size) / 128;
  const [data, mask] = await Promise.all([raster(svg.picture, blur >= 0.3 ? blur : 0), raster(svg.mask, 0)]);
  const classOf = new Map(maskColours.map((colour, i) => [Number.parseInt(colour.slice(1), 16), i]));
  const cells = 100 / finish.clouds;
  const clouds = cloudField(random.fork('clouds'), size, cells / finish.stretch, cells);
  const grain = random.fork('grain', frame).normal(size * size);
  const [slope, angle] = random.fork('light').uniform(2);
  const [lx, ly] = [Math.cos(angle * 2 * Math.PI), Math.sin(angle * 2 * Math.PI)];
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++, at++) {
      const label = classOf.get((mask[at * 3] << 16) | (mask[at * 3 + 1] << 8) | mask[at * 3 + 2]) ?? 0;
      const texture = finish.texture[Math.min(label, finish.texture.length - 1)];
      const light = finish.light * slope * ((lx * (x - size / 2) + ly * (y - size / 2)) / (size / 2));
      const change = texture * clouds[at] + finish.grain * grain[at] + light;
      for (let c = 0; c < 3; c++)
        data[at * 3 + c] = Math.max(0, Math.min(255, Math.round(data[at * 3 + c] + change)));
    }
  }
  return { picture: { data, width: size, height: size }, mask: { data: mask, width: size, height: size } };
}
