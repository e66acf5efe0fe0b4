/** The distance of a picture from a palette: of each of its colours from the nearest one there is. */
import { type Lab, oklab, oklabPullBack } from './oklab.js';
import type { Pull, Target } from './steering.js';

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** Distance in OKLab within which a pixel counts as of a colour, in the term that all colours be used. */
const NEAR = 0.1;
/** Weight of that term beside the one of the pixels. */
const USED = 0.1;

export class PaletteTarget implements Target {
  readonly until = 0.05;
  private readonly colours: readonly Lab[];

  /**
   * @param palette from two colours on
   * @param strength 0 to 1
   */
  constructor(
    palette: readonly Colour[],
    readonly strength: number,
  ) {
    this.colours = palette.map(labOf);
  }

  /**
   * Mean over the pixels of the squared distance in OKLab from the nearest colour; and a part of the mean over the colours
   * of −τ·log mean exp(−d²/τ), a soft minimum of the squared distances d² of all pixels, which is near 0 where many
   * pixels are of the colour.
   */
  pull(picture: Float32Array): Pull {
    const { colours } = this;
    const pixels = picture.length / 3;
    const labs = Array.from({ length: pixels }, (_, p) => labAt(picture, p));
    // Of each pixel, where it is led: Σ of slope·(pixel − colour) over the colours.
    const by = labs.map((): [number, number, number] => [0, 0, 0]);
    const add = (p: number, colour: Lab, slope: number): void => {
      for (let i = 0; i < 3; i++) by[p][i] += 2 * slope * (labs[p][i] - colour[i]);
    };
    let loss = 0;
    for (const [p, lab] of labs.entries()) {
      const colour = nearest(lab, colours);
      loss += squaredDistance(lab, colour) / pixels;
      add(p, colour, 1 / pixels);
    }
    const tau = NEAR ** 2;
    for (const colour of colours) {
      const shares = labs.map((lab) => Math.exp(-squaredDistance(lab, colour) / tau));
      // From where no pixel is near, nothing leads.
      const total = shares.reduce((a, b) => a + b, 1e-9 * pixels);
      const weight = USED / colours.length;
      loss -= weight * tau * Math.log(total / pixels);
      for (const [p, share] of shares.entries()) add(p, colour, (weight * share) / total);
    }
    const gradient = new Float32Array(picture.length);
    for (const [p, slopes] of by.entries())
      gradient.set(oklabPullBack(picture[3 * p], picture[3 * p + 1], picture[3 * p + 2], slopes), 3 * p);
    return { loss, gradient };
  }
}

function nearest(lab: Lab, colours: readonly Lab[]): Lab {
  let [found, least] = [colours[0], Infinity];
  for (const colour of colours) {
    const square = squaredDistance(lab, colour);
    if (square < least) [found, least] = [colour, square];
  }
  return found;
}

const labOf = ([r, g, b]: Colour): Lab => oklab(r / 127.5 - 1, g / 127.5 - 1, b / 127.5 - 1);

const labAt = (picture: Float32Array, p: number): Lab =>
  oklab(picture[3 * p], picture[3 * p + 1], picture[3 * p + 2]);

const squaredDistance = (a: Lab, b: Lab): number =>
  (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;

/**
 * Mean over the pixels of the distance in OKLab from the nearest colour of a palette; black and white are 1 apart.
 * @param picture [height, width, 3] in [-1, 1]
 */
export function paletteDistance(picture: Float32Array, palette: readonly Colour[]): number {
  const colours = palette.map(labOf);
  let sum = 0;
  const pixels = picture.length / 3;
  for (let p = 0; p < pixels; p++) {
    const lab = labAt(picture, p);
    sum += Math.sqrt(squaredDistance(lab, nearest(lab, colours)));
  }
  return sum / pixels;
}
