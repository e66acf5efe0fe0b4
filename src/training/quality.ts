/** How good the pictures become while a model is trained: KID of a few at checkpoints, and how many of them are copies. */
import type { Dataset } from '../data/index.js';
import { realDistances } from '../metrics/closest.js';
import { requireEnough } from '../metrics/evaluate.js';
import { Extractor, type Matrix } from '../metrics/extractor.js';
import { kernelDistance } from '../metrics/kid.js';
import { nearest, suspicion } from '../metrics/memorisation.js';
import { datasetLabels, datasetSet, generatedSet, labelsLike } from '../metrics/picture-set.js';
import { extractorName, kidText } from '../metrics/report.js';
import { DiffusionPipeline, type GeneratedPicture, type PipelineOptions } from '../pipelines/index.js';
import { Random } from '../random.js';
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
 * a run can be compared with each other. A model that repeats its training pictures is no worse by KID; therefore they are
 * counted, as `sumi eval` does: samples that are nearer to a training picture than one in a hundred of those is to another.
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
  let kept: { readonly features: Matrix; readonly apart: Float64Array } | undefined;
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
        if (!kept) {
          const features = await extractor.features(real.count, real.at, { signal });
          const { compared } = realDistances(features, undefined, new Random(0, 'comparison'));
          kept = { features, apart: compared };
        }
        const features = await extractor.features(count, generated.at, { signal });
        const kid = kernelDistance(features, kept.features);
        const name = extractorName(extractor.identity);
        const copies = copiesIn(features, kept.features, kept.apart);
        options.onNote?.(
          `step ${step}: KID is ${kidText(kid)}, of ${count} pictures, by ${name}${copies ? nearText(copies) : ''}`,
        );
        return {
          ...copies,
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

interface Copies {
  /** Share of the samples that are suspiciously near to a training picture. */
  readonly memorised_share: number;
  /** What it would be if they were new pictures. */
  readonly memorised_expected: number;
  /** Probability of so many or more, if they were. */
  readonly memorised_probability: number;
}

/** @param apart distances of training pictures from the nearest other, sorted; of none that differ nothing can be said */
function copiesIn(samples: Matrix, real: Matrix, apart: Float64Array): Copies | null {
  if (apart.length === 0) return null;
  const { suspicious, expected, probability } = suspicion(nearest(samples, real).distance, apart);
  return {
    memorised_share: suspicious / samples.rows,
    memorised_expected: Number((expected / samples.rows).toPrecision(3)),
    memorised_probability: Number(probability.toPrecision(3)),
  };
}

const nearText = ({ memorised_share, memorised_expected }: Copies): string =>
  `; ${percent(memorised_share)} suspiciously near to a training picture (${percent(memorised_expected)} by chance)`;

const percent = (share: number): string => `${Number((100 * share).toPrecision(2))} %`;
