/** The distance of a picture from a palette: of each of its colours from the nearest one there is. */
import { type Lab, oklab, squaredDistance } from './oklab.js';
import type { Pull, Target } from './steering.js';

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** Distance in red, green and blue of [-1, 1] within which a pixel counts as of a colour, in the term that all be used. */
const NEAR = 0.3;
/** Weight of that term beside the one of the pixels. */
const USED = 0.1;
/** The part of an even share of the picture that is enough for a colour. */
const ENOUGH = 0.25;

export class PaletteTarget implements Target {
  readonly until = 0.05;
  private readonly inks: readonly Ink[];

  /**
   * @param palette from two colours on
   * @param strength above 0, up to 1
   */
  constructor(
    palette: readonly Colour[],
    readonly strength: number,
  ) {
    this.inks = palette.map(inkOf);
  }

  /**
   * Mean over the pixels of the squared distance from the colour that looks nearest; and a part of the mean over those
   * colours that less than their share of the picture is of, of −τ·log(mean exp(−d²/τ) / share), a soft minimum of the
   * squared distances d² of all pixels. Which is nearest OKLab says. The distances are in red, green and blue, since OKLab's
   * slopes are so steep near black that a thin line there would outweigh all else.
   */
  pull(picture: Float32Array): Pull {
    const pixels = picture.length / 3;
    const gradient = new Float32Array(picture.length);
    /** Adds the slopes of weight·d² of a pixel. */
    const add = (p: number, { rgb }: Ink, weight: number): void => {
      for (let c = 0; c < 3; c++) gradient[3 * p + c] += 2 * weight * (picture[3 * p + c] - rgb[c]);
    };
    let loss = 0;
    for (let p = 0; p < pixels; p++) {
      const ink = nearest(labAt(picture, p), this.inks);
      loss += squareAt(picture, p, ink) / pixels;
      add(p, ink, 1 / pixels);
    }
    const tau = NEAR ** 2;
    const weight = USED / this.inks.length;
    const enough = (ENOUGH * pixels) / this.inks.length;
    for (const ink of this.inks) {
      const shares = Float64Array.from({ length: pixels }, (_, p) =>
        Math.exp(-squareAt(picture, p, ink) / tau),
      );
      // Where no pixel is near, nothing leads.
      const total = shares.reduce((a, b) => a + b, 1e-9 * pixels);
      if (total >= enough) continue;
      loss += weight * tau * Math.log(enough / total);
      for (const [p, share] of shares.entries()) add(p, ink, (weight * share) / total);
    }
    return { loss, gradient };
  }
}

/** A colour as the networks have it, and as it looks. */
interface Ink {
  readonly rgb: readonly number[];
  readonly lab: Lab;
}

function inkOf(colour: Colour): Ink {
  const [r, g, b] = colour.map((x) => x / 127.5 - 1);
  return { rgb: [r, g, b], lab: oklab(r, g, b) };
}

function nearest(lab: Lab, inks: readonly Ink[]): Ink {
  let [found, least] = [inks[0], Infinity];
  for (const ink of inks) {
    const square = squaredDistance(lab, ink.lab);
    if (square < least) [found, least] = [ink, square];
  }
  return found;
}

const labAt = (picture: Float32Array, p: number): Lab =>
  oklab(picture[3 * p], picture[3 * p + 1], picture[3 * p + 2]);

const squareAt = (picture: Float32Array, p: number, { rgb }: Ink): number =>
  (picture[3 * p] - rgb[0]) ** 2 + (picture[3 * p + 1] - rgb[1]) ** 2 + (picture[3 * p + 2] - rgb[2]) ** 2;

/**
 * Mean over the pixels of the distance in OKLab from the nearest colour of a palette; black and white are 1 apart.
 * @param picture [height, width, 3] in [-1, 1]
 */
export function paletteDistance(picture: Float32Array, palette: readonly Colour[]): number {
  const inks = palette.map(inkOf);
  const pixels = picture.length / 3;
  let sum = 0;
  for (let p = 0; p < pixels; p++) {
    const lab = labAt(picture, p);
    sum += Math.sqrt(squaredDistance(lab, nearest(lab, inks).lab));
  }
  return sum / pixels;
}
