/** How near generated pictures come to real ones: all figures of a comparison, with what they are worth. */
import { InputError } from '../errors.js';
import { Random } from '../random.js';
import { cachedFeatures } from './cache.js';
import { Extractor, type ExtractorIdentity, FEATURES, type Matrix } from './extractor.js';
import { extrapolatedDistance, Frechet } from './frechet.js';
import { type Estimate, kernelDistance } from './kid.js';
import { type Overlap, overlap } from './manifold.js';
import { nearest, quantile, type Suspicion, suspicion } from './memorisation.js';
import type { PictureSet } from './picture-set.js';
import { takeRows } from './rows.js';

/** Neighbours of precision and recall, and of density and coverage, as in their papers. */
const K = { precision: 3, density: 5 } as const;

/** Fewer pictures say nothing; FID∞ draws its line from a third of them on. */
const LEAST = 20;

/** Fewer pictures of a label are only counted. */
const LEAST_OF_LABEL = 10;

/** Sets of more pictures are thinned out for precision and recall, whose time grows with their square. */
const MOST_NEIGHBOURS = 5000;

/** Real pictures whose nearest others are looked for: enough for the hundredth that matters. */
const MOST_COMPARED = 1000;

/** Pairs that are reported, the nearest first. */
const PAIRS = 24;

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

export interface Source {
  readonly from: string;
  readonly count: number;
  /** Pictures there were to choose from. */
  readonly of: number;
}

export interface Quantiles {
  readonly least: number;
  readonly percent1: number;
  readonly percent10: number;
  readonly median: number;
  readonly percent90: number;
}

/** A generated picture and the real one that is most like it. */
export interface Pair {
  readonly generated: string;
  readonly real: string;
  /** Where the pictures are in their sets. */
  readonly indices: readonly [generated: number, real: number];
  readonly distance: number;
  /** Share of the real pictures of the comparison that are as near to another. */
  readonly rank: number;
  readonly suspicious: boolean;
}

export interface Memorisation extends Suspicion {
  /** Whose distances the generated pictures' are measured by. */
  readonly comparedWith: 'held-back pictures' | 'real pictures among themselves';
  readonly generatedDistances: Quantiles;
  readonly realDistances: Quantiles;
  readonly pairs: readonly Pair[];
}

/** What real pictures that are new to the model would get. */
export interface Floor {
  readonly of: 'held-back pictures' | 'real pictures against the others';
  readonly count: number;
  readonly kid: Estimate;
  readonly fid: number;
}

export interface LabelFigures {
  readonly label: string;
  readonly generated: number;
  readonly real: number;
  /** null with fewer than ten pictures. */
  readonly kid: Estimate | null;
  readonly precision: number | null;
  readonly recall: number | null;
}

export interface Evaluation {
  readonly extractor: ExtractorIdentity;
  /** Side at which the pictures were compared, before the network's own resizing. */
  readonly size: number;
  readonly generated: Source;
  readonly real: Source;
  readonly heldBack: Source | null;
  readonly kid: Estimate;
  readonly fid: number;
  /** The interval is that of the line, not of the law behind it. */
  readonly fidInfinity: Estimate;
  readonly overlap: Overlap;
  readonly floor: Floor;
  readonly memorisation: Memorisation;
  /** Empty when the sets share no labels. */
  readonly labels: readonly LabelFigures[];
  readonly warnings: readonly string[];
}

/**
 * Compares generated pictures with real ones.
 * @throws InputError when there are too few pictures, sizes differ, or both sets are labelled and share no label
 * @throws the signal's reason when it aborts
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { real, generated, heldBack, seed = 0 } = options;
  check(options);
  const features = await allFeatures(options);
  const random = new Random(seed, 'evaluate');
  const frechet = new Frechet(features.real);
  return {
    extractor: features.identity,
    size: real.size,
    generated: sourceOf(generated),
    real: sourceOf(real),
    heldBack: heldBack ? sourceOf(heldBack) : null,
    kid: kernelDistance(features.generated, features.real),
    fid: frechet.distance(features.generated),
    fidInfinity: extrapolatedDistance(frechet, features.generated, random.fork('fid')),
    overlap: overlapOf(features.real, features.generated, random),
    floor: floorOf(features, random),
    memorisation: memorisationOf(options, features, random),
    labels: byLabel(real, generated, features, random),
    warnings: warningsOf(options),
  };
}

interface Features {
  readonly identity: ExtractorIdentity;
  readonly real: Matrix;
  readonly generated: Matrix;
  readonly heldBack?: Matrix;
}

const sourceOf = ({ from, count, of }: PictureSet): Source => ({ from, count, of });

const setsOf = ({ real, generated, heldBack }: EvaluateOptions): PictureSet[] =>
  heldBack ? [real, generated, heldBack] : [real, generated];

const labelsIn = ({ labels }: PictureSet): string[] =>
  [...new Set(labels)].filter((label) => label !== null).sort();

function check(options: EvaluateOptions): void {
  const { real, generated } = options;
  for (const { from, count, size } of setsOf(options)) {
    if (count < LEAST)
      throw new InputError(
        `too few pictures: ${count} — ${from} — give ${LEAST} at least, 500 for figures that say something`,
      );
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

async function allFeatures(options: EvaluateOptions): Promise<Features> {
  const { real, generated, heldBack, threads, signal, cache } = options;
  const total = setsOf(options).reduce((sum, { count }) => sum + count, 0);
  const extractor = await Extractor.open({ threads });
  let before = 0;
  const featuresOf = async (set: PictureSet, folder?: string) => {
    const compute = () =>
      extractor.features(set.count, set.at, {
        signal,
        onProgress: (done) => options.onProgress?.(before + done, total),
      });
    const made = folder ? await cachedFeatures(folder, set, extractor.identity, compute) : await compute();
    before += set.count;
    return made;
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

/** Some rows of a set, the same for the same random numbers. */
function sample(set: Matrix, most: number, random: Random): { rows: number[]; features: Matrix } {
  const rows = [...random.permutation(set.rows).subarray(0, most)];
  return { rows, features: takeRows(set, rows) };
}

/** Both sets thinned out to one number of pictures: precision and recall are comparable at equal numbers only. */
function evened(real: Matrix, generated: Matrix, random: Random): [real: Matrix, generated: Matrix] {
  const most = Math.min(real.rows, generated.rows, MOST_NEIGHBOURS);
  return [
    sample(real, most, random.fork('real')).features,
    sample(generated, most, random.fork('generated')).features,
  ];
}

function overlapOf(real: Matrix, generated: Matrix, random: Random): Overlap {
  const [a, b] = evened(real, generated, random);
  const { precision, recall } = overlap(a, b, K.precision);
  const { density, coverage } = overlap(a, b, K.density);
  return { precision, recall, density, coverage };
}

/** FID depends on the number of pictures, so that the floor is of as many as were generated, where there are. */
function floorOf({ real, generated, heldBack }: Features, random: Random): Floor {
  const figures = (some: Matrix, others: Matrix) => ({
    count: some.rows,
    kid: kernelDistance(some, others),
    fid: new Frechet(others).distance(some),
  });
  if (heldBack) {
    const { features } = sample(heldBack, generated.rows, random.fork('floor'));
    return { of: 'held-back pictures', ...figures(features, real) };
  }
  const order = [...random.fork('floor').permutation(real.rows)];
  const count = Math.min(generated.rows, Math.floor(real.rows / 2));
  const [some, others] = [takeRows(real, order.slice(0, count)), takeRows(real, order.slice(count))];
  return { of: 'real pictures against the others', ...figures(some, others) };
}

function memorisationOf(
  { real, generated }: EvaluateOptions,
  features: Features,
  random: Random,
): Memorisation {
  const own = nearest(features.generated, features.real);
  const compared = Float64Array.from(comparison(features, random)).sort();
  const judged = suspicion(own.distance, compared);
  const order = [...own.distance.keys()].sort((a, b) => own.distance[a] - own.distance[b]);
  return {
    ...judged,
    comparedWith: features.heldBack ? 'held-back pictures' : 'real pictures among themselves',
    generatedDistances: quantilesOf(own.distance),
    realDistances: quantilesOf(compared),
    pairs: order.slice(0, PAIRS).map((i) => ({
      generated: generated.names[i],
      real: real.names[own.index[i]],
      indices: [i, own.index[i]] as const,
      distance: own.distance[i],
      rank: compared.filter((d) => d <= own.distance[i]).length / compared.length,
      suspicious: own.distance[i] < judged.threshold,
    })),
  };
}

/** How far real pictures are from the nearest other real picture. */
function comparison({ real, heldBack }: Features, random: Random): Float64Array {
  const { rows, features } = sample(heldBack ?? real, MOST_COMPARED, random.fork('comparison'));
  return nearest(features, real, heldBack ? undefined : (i) => rows[i]).distance;
}

function quantilesOf(distances: Float64Array): Quantiles {
  const sorted = Float64Array.from(distances).sort();
  return {
    least: sorted[0],
    percent1: quantile(sorted, 0.01),
    percent10: quantile(sorted, 0.1),
    median: quantile(sorted, 0.5),
    percent90: quantile(sorted, 0.9),
  };
}

function byLabel(
  real: PictureSet,
  generated: PictureSet,
  features: Features,
  random: Random,
): LabelFigures[] {
  const known = labelsIn(real);
  return labelsIn(generated)
    .filter((label) => known.includes(label))
    .map((label) => {
      const rowsOf = ({ labels }: PictureSet) => labels.flatMap((own, i) => (own === label ? [i] : []));
      const [a, b] = [takeRows(features.real, rowsOf(real)), takeRows(features.generated, rowsOf(generated))];
      const counts = { label, generated: b.rows, real: a.rows };
      if (Math.min(a.rows, b.rows) < LEAST_OF_LABEL)
        return { ...counts, kid: null, precision: null, recall: null };
      const { precision, recall } = overlap(...evened(a, b, random.fork('label', label)), K.precision);
      return { ...counts, kid: kernelDistance(b, a), precision, recall };
    });
}
