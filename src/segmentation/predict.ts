/** A model on pictures as they come: brought to the size it knows, and back. */
import type { RgbPicture, Size } from '../image/index.js';
import { decodeRgb } from '../image/index.js';
import { limitSize } from './dataset.js';
import type { LabelMap } from './masks.js';
import { mostProbable, type Probabilities, type Segmenter, type TileOptions } from './segmenter.js';

export interface Prediction {
  readonly picture: RgbPicture;
  readonly probabilities: Probabilities;
  readonly labels: LabelMap;
}

export interface PredictOptions extends TileOptions {
  /** Longest side that larger pictures are brought to before; default the model's own, null: as they are. */
  readonly resize?: number | null;
}

/**
 * Reads a picture and tells its parts apart. A model that was trained on pictures made smaller sees this one made
 * smaller too; the probabilities are brought back to the picture's size.
 * @throws InputError when the picture cannot be read
 */
export async function predictFile(
  segmenter: Segmenter,
  path: string,
  { resize = segmenter.model.resize, ...options }: PredictOptions = {},
): Promise<Prediction> {
  const picture = await decodeRgb(path);
  const size = limitSize(picture, resize);
  if (size.width === picture.width) {
    const probabilities = await segmenter.probabilities(picture, options);
    return { picture, probabilities, labels: mostProbable(probabilities) };
  }
  const small = await decodeRgb(path, { size, fit: 'stretch' });
  const probabilities = enlarge(await segmenter.probabilities(small, options), picture);
  return { picture, probabilities, labels: mostProbable(probabilities) };
}

/** Brings probabilities to another size, linearly between pixels' middles; they still sum to 1. */
export function enlarge(from: Probabilities, { width, height }: Size): Probabilities {
  const { classes } = from;
  const data = new Float32Array(width * height * classes);
  const columns = Array.from({ length: width }, (_, x) => between(x, width, from.width));
  for (let y = 0, at = 0; y < height; y++) {
    const [top, bottom, fy] = between(y, height, from.height);
    for (let x = 0; x < width; x++) {
      const [left, right, fx] = columns[x];
      const value = (row: number, column: number, c: number) =>
        from.data[(row * from.width + column) * classes + c];
      for (let c = 0; c < classes; c++) {
        const upper = value(top, left, c) * (1 - fx) + value(top, right, c) * fx;
        const lower = value(bottom, left, c) * (1 - fx) + value(bottom, right, c) * fx;
        data[at++] = upper * (1 - fy) + lower * fy;
      }
    }
  }
  return { data, classes, width, height };
}

/** The two pixels of `m` that pixel `i` of `n` lies between, and how far it is from the first. */
function between(i: number, n: number, m: number): [number, number, number] {
  const at = Math.max(0, Math.min(m - 1, ((i + 0.5) * m) / n - 0.5));
  const first = Math.floor(at);
  return [first, Math.min(m - 1, first + 1), at - first];
}

/** The probability that a pixel is none of the background, or one of some classes. @param chosen numbers of classes */
export function foregroundOf(
  { data, classes, width, height }: Probabilities,
  chosen?: readonly number[],
): Float32Array {
  const out = new Float32Array(width * height);
  for (let i = 0; i < out.length; i++) {
    if (!chosen) out[i] = 1 - data[i * classes];
    else for (const c of chosen) out[i] += data[i * classes + c];
  }
  return out;
}
