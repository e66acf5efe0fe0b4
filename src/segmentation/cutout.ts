/** Things cut out of their picture: opaque inside, fading at the edge, without the old background's colour there. */
import type { AlphaPicture } from '../image/alpha.js';
import type { RgbPicture } from '../image/index.js';

export interface CutoutOptions {
  /** Probabilities from 0.5 - softness to 0.5 + softness fade; 0: a hard edge. Default 0.35. */
  readonly softness?: number;
  /** Take the background's share out of half transparent pixels' colours; default true. */
  readonly decontaminate?: boolean;
}

/**
 * Cuts out what is probably foreground.
 * @param foreground [height, width], 0…1
 */
export function cutOut(
  picture: RgbPicture,
  foreground: Float32Array,
  { softness = 0.35, decontaminate = true }: CutoutOptions = {},
): AlphaPicture {
  const alpha = foreground.map((p) => {
    if (softness <= 0) return p >= 0.5 ? 1 : 0;
    const t = Math.max(0, Math.min(1, (p - 0.5 + softness) / (2 * softness)));
    return t * t * (3 - 2 * t);
  });
  const colours = decontaminate ? foregroundColours(picture, alpha) : picture.data;
  const bytes = Uint8Array.from(alpha, (a) => Math.round(a * 255));
  const { width, height } = picture;
  // What cannot be seen need not be kept: black packs well, and shows nothing of the background.
  const data = colours.map((value, i) => (bytes[Math.floor(i / 3)] === 0 ? 0 : value));
  return { data, width, height, alpha: bytes };
}

/** Radii of the two passes: first where there is foreground at all, then close by. */
const RADII = [24, 4];

/**
 * The colours that the foreground has where the background shows through, by blurred fusion (Forte 2021, "Approximate
 * Fast Foreground Colour Estimation", ICIP): means of both around, weighted by how much of each there is, then the part
 * of the difference to what is seen that is the foreground's.
 * @param alpha [height, width], 0…1
 * @returns RGB bytes; opaque pixels as they are
 */
export function foregroundColours({ data, width, height }: RgbPicture, alpha: Float32Array): Uint8Array {
  const n = width * height;
  const out = new Uint8Array(data);
  const opposite = alpha.map((a) => 1 - a);
  for (let c = 0; c < 3; c++) {
    const seen = Float32Array.from({ length: n }, (_, i) => data[i * 3 + c]);
    let front: Float32Array = seen;
    let back: Float32Array = seen;
    for (const radius of RADII) {
      const [f, b] = [mean(front, alpha, radius, width, height), mean(back, opposite, radius, width, height)];
      front = f.map((value, i) => {
        const rest = seen[i] - alpha[i] * value - opposite[i] * b[i];
        return Math.max(0, Math.min(255, value + alpha[i] * rest));
      });
      back = b;
    }
    for (let i = 0; i < n; i++) if (alpha[i] < 1) out[i * 3 + c] = Math.round(front[i]);
  }
  return out;
}

/** Weighted mean over squares around each pixel; as it was where all weights are 0. */
function mean(
  values: Float32Array,
  weights: Float32Array,
  radius: number,
  width: number,
  height: number,
): Float32Array {
  const sums = boxSum(
    values.map((value, i) => value * weights[i]),
    radius,
    width,
    height,
  );
  const totals = boxSum(weights, radius, width, height);
  return values.map((value, i) => (totals[i] > 1e-3 ? sums[i] / totals[i] : value));
}

/** Sums over squares of 2·radius + 1, cut at the edges. */
function boxSum(values: Float32Array, radius: number, width: number, height: number): Float64Array {
  const across = new Float64Array(width * height);
  const out = new Float64Array(width * height);
  slide(values, across, radius, width, 1, height, width);
  slide(across, out, radius, height, width, width, 1);
  return out;
}

/** Running sums along `lines` lines of `n` values. */
function slide(
  from: ArrayLike<number>,
  to: Float64Array,
  radius: number,
  n: number,
  stride: number,
  lines: number,
  between: number,
): void {
  for (let line = 0; line < lines; line++) {
    const start = line * between;
    let sum = 0;
    for (let i = 0; i < Math.min(radius, n); i++) sum += from[start + i * stride];
    for (let i = 0; i < n; i++) {
      if (i + radius < n) sum += from[start + (i + radius) * stride];
      if (i - radius > 0) sum -= from[start + (i - radius - 1) * stride];
      to[start + i * stride] = sum;
    }
  }
}
