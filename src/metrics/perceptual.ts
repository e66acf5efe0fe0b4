/** How like two versions of one picture are. */
import { InputError } from '../errors.js';
import type { RgbPicture } from '../image/index.js';
import type { Activations, Extractor } from './extractor.js';

function requireSameSize(a: RgbPicture, b: RgbPicture): void {
  if (a.width !== b.width || a.height !== b.height)
    throw new InputError(
      `pictures of ${a.width}×${a.height} and ${b.width}×${b.height} — pair — bring them to one size`,
    );
}

/** Peak signal-to-noise ratio of bytes in dB; infinite for equal pictures. @throws InputError when sizes differ */
export function psnr(a: RgbPicture, b: RgbPicture): number {
  requireSameSize(a, b);
  const sum = a.data.reduce((total, x, i) => total + (x - b.data[i]) ** 2, 0);
  return 10 * Math.log10((255 ** 2 * a.data.length) / sum);
}

const RADIUS = 5;
const SIGMA = 1.5;
const WINDOW = gaussianWindow();

function gaussianWindow(): Float64Array {
  const values = Float64Array.from({ length: 2 * RADIUS + 1 }, (_, i) =>
    Math.exp(-((i - RADIUS) ** 2) / (2 * SIGMA ** 2)),
  );
  const sum = values.reduce((total, x) => total + x, 0);
  return values.map((x) => x / sum);
}

/** Weighted means over the 11×11 windows that lie wholly within the picture, [height − 10, width − 10]. */
function smooth(plane: Float64Array, width: number, height: number): Float64Array {
  const [w, h] = [width - 2 * RADIUS, height - 2 * RADIUS];
  const across = new Float64Array(w * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < w; x++)
      for (let k = 0; k < WINDOW.length; k++) across[y * w + x] += WINDOW[k] * plane[y * width + x + k];
  const out = new Float64Array(w * h);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++)
      for (let k = 0; k < WINDOW.length; k++) out[y * w + x] += WINDOW[k] * across[(y + k) * w + x];
  return out;
}

/**
 * Structural similarity (Wang et al., IEEE Trans. Image Processing 2004), mean over the three colours: Gaussian
 * windows of 11×11, σ = 1.5, K₁ = 0.01, K₂ = 0.03, as in the paper.
 * @throws InputError when sizes differ or a side is below 11
 */
export function ssim(a: RgbPicture, b: RgbPicture): number {
  requireSameSize(a, b);
  const { width, height } = a;
  if (Math.min(width, height) < WINDOW.length)
    throw new InputError(`pictures of ${width}×${height} — pair — SSIM needs ${WINDOW.length} pixels a side`);
  const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
  let [total, count] = [0, 0];
  for (let c = 0; c < 3; c++) {
    const plane = (f: (p: number) => number) =>
      smooth(
        Float64Array.from({ length: width * height }, (_, i) => f(i * 3 + c)),
        width,
        height,
      );
    const [ma, mb] = [plane((p) => a.data[p]), plane((p) => b.data[p])];
    const [aa, bb] = [plane((p) => a.data[p] ** 2), plane((p) => b.data[p] ** 2)];
    const ab = plane((p) => a.data[p] * b.data[p]);
    for (let i = 0; i < ma.length; i++) {
      const [va, vb, cov] = [aa[i] - ma[i] ** 2, bb[i] - mb[i] ** 2, ab[i] - ma[i] * mb[i]];
      total +=
        ((2 * ma[i] * mb[i] + c1) * (2 * cov + c2)) / ((ma[i] ** 2 + mb[i] ** 2 + c1) * (va + vb + c2));
      count++;
    }
  }
  return total / count;
}

/** Mean over places of the squared difference of the directions of the channels. */
function layerDistance(a: Activations, b: Activations): number {
  const places = a.data.length / a.channels;
  let total = 0;
  for (let p = 0; p < places; p++) {
    let [aa, bb, ab] = [0, 0, 0];
    for (let c = 0; c < a.channels; c++) {
      const [x, y] = [a.data[c * places + p], b.data[c * places + p]];
      aa += x * x;
      bb += y * y;
      ab += x * y;
    }
    // |x/|x| − y/|y||² = 2 − 2 cos; where both are zero they are equal.
    const norm = Math.sqrt(aa * bb);
    total += norm > 0 ? 2 - (2 * ab) / norm : aa === bb ? 0 : 2;
  }
  return Math.max(0, total / places);
}

/**
 * Perceptual distance in the manner of LPIPS (Zhang et al., CVPR 2018): activations at five depths, each place's
 * channels scaled to length 1, squared differences averaged over places and summed over depths. Unlike LPIPS proper it
 * has no weights fitted to people's judgements, and its network is another: it is not on LPIPS's scale.
 * @param extractor opened with `taps`
 * @returns 0 for equal pictures, 20 at most
 * @throws InputError when sizes differ
 */
export async function perceptualDistance(
  extractor: Extractor,
  a: RgbPicture,
  b: RgbPicture,
): Promise<number> {
  requireSameSize(a, b);
  const [one, two] = [await extractor.activations(a), await extractor.activations(b)];
  return one.reduce((sum, layer, k) => sum + layerDistance(layer, two[k]), 0);
}
