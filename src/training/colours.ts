/** The colours of pictures in numbers: what drifts first when a model is trained badly. */
import type { JsonObject } from '../checkpoint/json.js';
import { type Dataset, pictureAt } from '../data/index.js';
import type { RgbPicture } from '../image/index.js';

/** Of each channel over all pixels, 0 to 1. */
export interface Colours {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

export function coloursOf(pictures: Iterable<RgbPicture>): Colours {
  const [sum, square] = [new Float64Array(3), new Float64Array(3)];
  let pixels = 0;
  for (const { data } of pictures) {
    pixels += data.length / 3;
    for (let i = 0; i < data.length; i++) {
      const x = data[i] / 255;
      sum[i % 3] += x;
      square[i % 3] += x * x;
    }
  }
  const mean = Array.from(sum, (s) => s / pixels);
  const deviation = Array.from(square, (s, c) => Math.sqrt(Math.max(0, s / pixels - mean[c] ** 2)));
  return { mean, deviation };
}

/** Pictures of a dataset that its colours are measured on. */
const MEASURED = 500;

export function datasetColours(dataset: Dataset): Colours {
  const count = Math.min(MEASURED, dataset.count);
  const at = (k: number) => pictureAt(dataset, Math.floor((k * dataset.count) / count));
  return coloursOf(Array.from({ length: count }, (_, k) => at(k)));
}

/** What a line of metrics.jsonl says of them. */
export function colourFacts(samples: Colours, data: Colours): JsonObject {
  const rounded = (values: readonly number[]) => values.map((x) => Number(x.toFixed(4)));
  return {
    sample_mean: rounded(samples.mean),
    sample_deviation: rounded(samples.deviation),
    data_mean: rounded(data.mean),
    data_deviation: rounded(data.deviation),
  };
}
