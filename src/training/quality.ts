/** How good the pictures become while a model is trained: KID of a few at checkpoints. */
import type { Dataset } from '../data/index.js';
import { requireEnough } from '../metrics/evaluate.js';
import { Extractor, type Matrix } from '../metrics/extractor.js';
import { kernelDistance } from '../metrics/kid.js';
import { datasetLabels, datasetSet, generatedSet, labelsLike } from '../metrics/picture-set.js';
import { extractorName, kidText } from '../metrics/report.js';
import { DiffusionPipeline, type GeneratedPicture, type PipelineOptions } from '../pipelines/index.js';
import type { Measure } from './loop.js';

/** Training pictures that they are compared with, at most. */
const COMPARED = 1000;

/** Far from the seeds of samples and of what people draw. */
const SEED = 1_000_000;

export interface QualityOptions extends PipelineOptions {
  /** Pictures drawn for a measurement. Default 100: as few as tell a model that has learned from one that has not. */
  readonly count?: number;
  readonly signal?: AbortSignal;
  readonly onNote?: (line: string) => void;
}

/**
 * Measures the published model: the same seeds, labels and training pictures each time, in 20 steps, so that the figures of
 * a run can be compared with each other. A model that repeats its training pictures is no worse by them.
 * @param model folder of the published model
 * @param every steps between measurements
 * @throws InputError when there are too few pictures
 */
export function qualityMeasure(
  dataset: Dataset,
  model: string,
  every: number,
  options: QualityOptions,
): Measure {
  const { count = 100, signal } = options;
  const real = datasetSet(dataset, datasetLabels(dataset), { most: COMPARED });
  requireEnough(real);
  let kept: Matrix | undefined;
  const draw = async () => {
    const pipeline = await DiffusionPipeline.fromPretrained(model, options);
    try {
      const chosen = labelsLike(real, count, 0);
      const common = { steps: 20, batchSize: 8, signal };
      if (!pipeline.model.text) {
        const label = pipeline.labels.length > 0 ? chosen : undefined;
        return await pipeline.generate({ ...common, count, seed: SEED, label });
      }
      // Labels are texts, and a call draws one.
      const pictures: GeneratedPicture[] = [];
      for (let i = 0; i < count; i++)
        pictures.push(...(await pipeline.generate({ ...common, seed: SEED + i, prompt: chosen?.[i] ?? '' })));
      return pictures;
    } finally {
      await pipeline.dispose();
    }
  };
  return {
    every,
    run: async (step) => {
      const generated = generatedSet(model, await draw());
      const extractor = await Extractor.open({ threads: options.threads });
      try {
        kept ??= await extractor.features(real.count, real.at, { signal });
        const kid = kernelDistance(await extractor.features(count, generated.at, { signal }), kept);
        const name = extractorName(extractor.identity);
        options.onNote?.(`step ${step}: KID is ${kidText(kid)}, of ${count} pictures, by ${name}`);
        return {
          kid: kid.value,
          kid_standard_error: kid.standardError,
          kid_pictures: count,
          extractor: name,
        };
      } finally {
        await extractor.dispose();
      }
    },
  };
}
