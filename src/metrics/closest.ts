/** The memorisation report: the generated pictures that come nearest to real ones, and what that says. */
import { InputError } from '../errors.js';
import type { Random } from '../random.js';
import { sample } from './compare.js';
import type { Memorisation, Quantiles } from './evaluation.js';
import type { Matrix } from './extractor.js';
import { nearest, quantile, suspicion } from './memorisation.js';
import type { PictureSet } from './picture-set.js';

/** Real pictures whose nearest others are looked for: enough for the hundredth that matters. */
const MOST_COMPARED = 1000;

/** Pairs that are reported, the nearest first. */
const PAIRS = 24;

/** Equal pictures differ by rounding, for which this much of the features' length is ample. */
const TWIN = 1e-4;

interface Set {
  readonly set: PictureSet;
  readonly features: Matrix;
}

/**
 * @param real what the model was trained on
 * @param heldBack real pictures that it was not trained on; without them the real ones are compared with each other
 * @throws InputError when no picture is left to compare with, because all are in the data twice
 */
export function memorisationOf(
  real: Set,
  generated: Set,
  heldBack: Set | undefined,
  random: Random,
): Memorisation {
  const own = nearest(generated.features, real.features);
  const { compared, twins } = realDistances(real.features, heldBack?.features, random);
  if (compared.length === 0) {
    throw new InputError(
      heldBack
        ? `the held-back pictures are all among those that were trained on — ${heldBack.set.from} — name others`
        : `every picture is there twice — ${real.set.from} — leave out the copies`,
    );
  }
  const judged = suspicion(own.distance, compared);
  const order = [...own.distance.keys()].sort((a, b) => own.distance[a] - own.distance[b]);
  return {
    ...judged,
    comparedWith: heldBack ? 'held-back pictures' : 'real pictures among themselves',
    twins,
    generatedDistances: quantilesOf(own.distance.slice().sort()),
    realDistances: quantilesOf(compared),
    pairs: order.slice(0, PAIRS).map((i) => ({
      generated: generated.set.names[i],
      real: real.set.names[own.index[i]],
      indices: [i, own.index[i]] as const,
      distance: own.distance[i],
      rank: compared.filter((d) => d <= own.distance[i]).length / compared.length,
      suspicious: own.distance[i] < judged.threshold,
    })),
  };
}

/** How far real pictures are from the nearest other real picture, sorted, and how many more are another's copy. */
export function realDistances(
  real: Matrix,
  heldBack: Matrix | undefined,
  random: Random,
): { compared: Float64Array; twins: number } {
  const { rows, features } = sample(heldBack ?? real, MOST_COMPARED, random);
  const { distance } = nearest(features, real, heldBack ? undefined : (i) => rows[i]);
  const compared = distance.filter((d) => d > TWIN * lengthOf(real)).sort();
  return { compared, twins: distance.length - compared.length };
}

/** Root of the rows' mean squared length. */
const lengthOf = ({ rows, data }: Matrix): number =>
  Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / rows);

const quantilesOf = (sorted: Float64Array): Quantiles => ({
  least: sorted[0],
  percent1: quantile(sorted, 0.01),
  percent10: quantile(sorted, 0.1),
  median: quantile(sorted, 0.5),
  percent90: quantile(sorted, 0.9),
});
