/** The distance of a picture from a scribble: of the colours under its strokes, blurred. */
import type { Pull, Target } from './steering.js';

/** A drawing that says roughly what goes where; strokes and patches of colour on a ground that says nothing. */
export interface Scribble {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3] in [-1, 1]; what it is where nothing is said does not matter. */
  readonly colours: Float32Array;
  /** [height, width], 0 where it says nothing to 1. */
  readonly weights: Float32Array;
}

/** Standard deviation of the blur, as a part of the longer side: finer than that, the model is free. */
const BLUR = 1 / 24;

export class ScribbleTarget implements Target {
  readonly until = 0.7;
  private readonly kernel: Float64Array;
  /** A loss of 1 is for colours that are off by √2 in each channel wherever there are strokes. */
  private readonly scale: number;

  /** @param strength above 0, up to 1 */
  constructor(
    private readonly scribble: Scribble,
    readonly strength: number,
  ) {
    const { weights, width, height } = scribble;
    this.kernel = gaussian(BLUR * Math.max(width, height));
    this.scale = 1 / this.blurred(weights, 1).reduce((sum, w) => sum + w * w, 0);
  }

  /** Half the mean square of what the picture differs by under the strokes, blurred. */
  pull(picture: Float32Array): Pull {
    const { colours, weights } = this.scribble;
    const residual = picture.map((x, i) => weights[Math.floor(i / 3)] * (x - colours[i]));
    const blurred = this.blurred(residual, 3);
    const loss = 0.5 * this.scale * blurred.reduce((sum, r) => sum + r * r, 0);
    // The blur is its own transpose: its kernel is even, and beyond the edge there is nothing.
    const back = this.blurred(blurred, 3);
    return { loss, gradient: back.map((r, i) => this.scale * weights[Math.floor(i / 3)] * r) };
  }

  /** Values of `channels` a pixel, blurred along rows and columns. */
  private blurred(values: Float32Array, channels: number): Float32Array {
    const { width, height } = this.scribble;
    const rows = convolved(values, this.kernel, channels, width, width * channels, height);
    return convolved(rows, this.kernel, width * channels, height, values.length, 1);
  }
}

/** A normal kernel of a standard deviation in pixels; its sum is 1. */
function gaussian(deviation: number): Float64Array {
  const radius = Math.ceil(3 * deviation);
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-0.5 * ((i - radius) / deviation) ** 2),
  );
  const sum = kernel.reduce((a, b) => a + b, 0);
  return kernel.map((k) => k / sum);
}

/** `lines` lines of `length` places, `stride` values from place to place, `line` from line to line. */
function convolved(
  values: Float32Array,
  kernel: Float64Array,
  stride: number,
  length: number,
  line: number,
  lines: number,
): Float32Array {
  const radius = (kernel.length - 1) / 2;
  const out = new Float32Array(values.length);
  for (let l = 0; l < lines; l++)
    for (let c = 0; c < stride; c++)
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (let k = Math.max(-radius, -i); k <= radius && i + k < length; k++)
          sum += kernel[k + radius] * values[l * line + (i + k) * stride + c];
        out[l * line + i * stride + c] = sum;
      }
  return out;
}
