/** How well a hole was painted, against what was there. */
import type { RgbPicture } from '../../src/image/index.js';
import type { PaintMask } from '../../src/pipelines/paint-mask.js';

/** Of pictures with holes of one kind: sums over pictures, pixels or pairs of pixels. */
export class Scores {
  private pictures = 0;
  private distance = 0;
  private plainDistance = 0;
  private squares = 0;
  private numbers = 0;
  private readonly edge = { pairs: 0, steps: 0, trueSteps: 0, off: 0 };
  private seconds = 0;

  /** @param distance perceptual distances of the truth to what was painted, and to the hole filled plainly */
  add(
    truth: RgbPicture,
    painted: RgbPicture,
    mask: PaintMask,
    {
      distance,
      plainDistance,
      seconds,
    }: { readonly distance: number; readonly plainDistance: number; readonly seconds: number },
  ): void {
    this.pictures++;
    this.seconds += seconds;
    this.distance += distance;
    this.plainDistance += plainDistance;
    for (const [i, value] of painted.data.entries()) {
      if (mask.data[Math.floor(i / 3)] <= 0) continue;
      this.squares += (value - truth.data[i]) ** 2;
      this.numbers++;
    }
    const { edge } = this;
    for (const [inside, outside] of pairsAcross(mask)) {
      for (let c = 0; c < 3; c++) {
        const step = painted.data[inside * 3 + c] - painted.data[outside * 3 + c];
        const trueStep = truth.data[inside * 3 + c] - truth.data[outside * 3 + c];
        edge.pairs++;
        edge.steps += Math.abs(step);
        edge.trueSteps += Math.abs(trueStep);
        edge.off += Math.abs(step - trueStep);
      }
    }
  }

  /** Perceptual distance, as a share of that of the same holes filled with the mean colour of what is kept. */
  get perceptual(): number {
    return this.distance / this.plainDistance;
  }

  /** PSNR of the painted pixels in dB. */
  get psnr(): number {
    return 10 * Math.log10((255 ** 2 * this.numbers) / this.squares);
  }

  /** How much larger the step across the hole's edge is than in the picture itself, in grey levels; below 0: smaller. */
  get seam(): number {
    return (this.edge.steps - this.edge.trueSteps) / this.edge.pairs;
  }

  /** How far the step across the edge is from the picture's own, in grey levels. */
  get step(): number {
    return this.edge.off / this.edge.pairs;
  }

  get secondsEach(): number {
    return this.seconds / this.pictures;
  }
}

/** The picture with the mean colour of what is kept in the hole. */
export function filledPlainly({ data, width, height }: RgbPicture, mask: PaintMask): RgbPicture {
  const kept = mask.data.reduce((n, m) => n + (m <= 0 ? 1 : 0), 0);
  const mean = [0, 1, 2].map((c) => {
    const sum = mask.data.reduce((total, m, p) => total + (m <= 0 ? data[p * 3 + c] : 0), 0);
    return Math.round(sum / Math.max(1, kept));
  });
  const filled = data.map((value, i) => (mask.data[Math.floor(i / 3)] > 0 ? mean[i % 3] : value));
  return { data: filled, width, height };
}

/** Pairs of neighbouring pixels of which the first is painted and the second is kept. */
function pairsAcross({ data, width, height }: PaintMask): [number, number][] {
  const pairs: [number, number][] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const neighbours = [x + 1 < width ? at + 1 : -1, y + 1 < height ? at + width : -1];
      for (const other of neighbours) {
        if (other < 0 || data[at] > 0 === data[other] > 0) continue;
        pairs.push(data[at] > 0 ? [at, other] : [other, at]);
      }
    }
  }
  return pairs;
}

/** Means over kinds of holes, each counting the same. */
export function overKinds(kinds: readonly Scores[]) {
  const mean = (of: (scores: Scores) => number) => kinds.reduce((sum, k) => sum + of(k), 0) / kinds.length;
  return {
    perceptual: mean((k) => k.perceptual),
    psnr: mean((k) => k.psnr),
    seam: mean((k) => k.seam),
    step: mean((k) => k.step),
    seconds: mean((k) => k.secondsEach),
  };
}
