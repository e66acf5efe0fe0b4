/** How near generated pictures come to real ones: all figures of a comparison, with what they are worth. */
import { InputError } from '../errors.js';
import { Random } from '../random.js';
import { cachedFeatures } from './cache.js';
import { memorisationOf } from './closest.js';
import { byLabel, evenOverlap, floorOf } from './compare.js';
import type { PictureEvaluation, Source } from './evaluation.js';
import { Extractor, type ExtractorIdentity, FEATURES, type Matrix } from './extractor.js';
import { extrapolatedDistance, Frechet } from './frechet.js';
import { kernelDistance } from './kid.js';
import { labelsIn, type PictureSet } from './picture-set.js';

/** Fewer pictures say nothing; FID∞ draws its line from a third of them on. */
export const LEAST_PICTURES = 20;

export interface EvaluateOptions {
  /** What the generated pictures are to look like; for memorisation, what the model was trained on. */
  readonly real: PictureSet;
  readonly generated: PictureSet;
  /** Real pictures that were not trained on: how good the figures could be. */
  readonly heldBack?: PictureSet;
  /** Chooses subsets. Default 0. */
  readonly seed?: number;
  readonly threads?: number;
  /** Folder that keeps the features of the real pictures. */
  readonly cache?: string;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Compares generated pictures with real ones.
 * @throws InputError when there are too few pictures, sizes differ, both sets are labelled and share no label, or real
 *   pictures are nothing but copies of each other
 * @throws the signal's reason when it aborts
 */
export async function evaluatePictures(options: EvaluateOptions): Promise<PictureEvaluation> {
  const { seed = 0 } = options;
  check(options);
  const { identity, real, generated, heldBack } = await allFeatures(options);
  const random = new Random(seed, 'evaluate');
  const frechet = new Frechet(real.features);
  return {
    extractor: identity,
    size: real.set.size,
    generated: sourceOf(generated.set),
    real: sourceOf(real.set),
    heldBack: heldBack ? sourceOf(heldBack.set) : null,
    kid: kernelDistance(generated.features, real.features),
    fid: frechet.distance(generated.features),
    fidInfinity: extrapolatedDistance(frechet, generated.features, random.fork('fid')),
    overlap: evenOverlap(real.features, generated.features, random.fork('overlap')),
    floor: floorOf(real.features, generated.set.count, heldBack?.features, random.fork('floor')),
    memorisation: memorisationOf(real, generated, heldBack, random.fork('comparison')),
    labels: byLabel(real, generated, random.fork('label')),
    warnings: warningsOf(options),
  };
}

const sourceOf = ({ from, count, of }: PictureSet): Source => ({ from, count, of });

const setsOf = ({ real, generated, heldBack }: EvaluateOptions): PictureSet[] =>
  heldBack ? [real, generated, heldBack] : [real, generated];

/** @throws InputError for a set that is too small for any figure */
export function requireEnough({ from, count }: Pick<PictureSet, 'from' | 'count'>): void {
  if (count < LEAST_PICTURES)
    throw new InputError(
      `too few pictures: ${count} — ${from} — give ${LEAST_PICTURES} at least, 500 for figures that say something`,
    );
}

function check(options: EvaluateOptions): void {
  const { real, generated } = options;
  for (const set of setsOf(options)) {
    requireEnough(set);
    const { from, size } = set;
    if (size !== real.size)
      throw new InputError(
        `pictures of ${size}×${size} against ${real.size}×${real.size} — ${from} — bring them to one size`,
      );
  }
  const [known, drawn] = [labelsIn(real), labelsIn(generated)];
  if (known.length > 0 && drawn.length > 0 && !drawn.some((label) => known.includes(label)))
    throw new InputError(
      `no label in common: ${drawn.join(', ')} against ${known.join(', ')} — ${generated.from} — compare pictures of the same kinds`,
    );
}

/** What a reader of the figures should know. */
function warningsOf({ real, generated }: EvaluateOptions): string[] {
  const warnings: string[] = [];
  const enough = 2 * FEATURES;
  if (generated.count < enough)
    warnings.push(
      `FID and FID∞ of ${generated.count} pictures say little (${enough} and more would): compare FID at equal numbers only, and trust KID`,
    );
  if (real.count < enough)
    warnings.push(`FID against ${real.count} real pictures is too large, and FID∞ does not mend that side`);
  if (real.count < real.of)
    warnings.push(
      `${real.count} of ${real.of} real pictures were looked at: copies of the others are not found (--reference)`,
    );
  const [known, drawn] = [labelsIn(real), labelsIn(generated)];
  if (known.length > 0 && drawn.length > 0) {
    const foreign = drawn.filter((label) => !known.includes(label));
    const missing = known.filter((label) => !drawn.includes(label));
    if (foreign.length > 0) warnings.push(`labels that the real pictures lack: ${foreign.join(', ')}`);
    if (missing.length > 0) warnings.push(`labels that were not generated: ${missing.join(', ')}`);
  }
  return warnings;
}

interface WithFeatures {
  readonly set: PictureSet;
  readonly features: Matrix;
}

async function allFeatures(options: EvaluateOptions): Promise<{
  identity: ExtractorIdentity;
  real: WithFeatures;
  generated: WithFeatures;
  heldBack?: WithFeatures;
}> {
  const { real, generated, heldBack, threads, signal, cache } = options;
  const total = setsOf(options).reduce((sum, { count }) => sum + count, 0);
  const extractor = await Extractor.open({ threads });
  let before = 0;
  const featuresOf = async (set: PictureSet, folder?: string): Promise<WithFeatures> => {
    const compute = () =>
      extractor.features(set.count, set.at, {
        signal,
        onProgress: (done) => options.onProgress?.(before + done, total),
      });
    const features = folder
      ? await cachedFeatures(folder, set, extractor.identity, compute)
      : await compute();
    before += set.count;
    return { set, features };
  };
  try {
    return {
      identity: extractor.identity,
      real: await featuresOf(real, cache),
      generated: await featuresOf(generated),
      heldBack: heldBack && (await featuresOf(heldBack, cache)),
    };
  } finally {
    await extractor.dispose();
  }
}
