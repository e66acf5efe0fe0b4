/** Figures of two sets of features, each at numbers of pictures at which they can be compared. */
import type { Random } from '../random.js';
import type { Floor, LabelFigures } from './evaluation.js';
import type { Matrix } from './extractor.js';
import { Frechet } from './frechet.js';
import { kernelDistance } from './kid.js';
import { type Overlap, overlap } from './manifold.js';
import { labelsIn, type PictureSet } from './picture-set.js';
import { takeRows } from './rows.js';

/** Fewer pictures of a label are only counted. */
const LEAST_OF_LABEL = 10;

/** Sets of more pictures are thinned out for precision and recall, whose time grows with their square. */
const MOST_NEIGHBOURS = 5000;

/** Some rows of a set, the same for the same random numbers. */
export function sample(set: Matrix, most: number, random: Random): { rows: number[]; features: Matrix } {
  const rows = [...random.permutation(set.rows).subarray(0, most)];
  return { rows, features: takeRows(set, rows) };
}

/** Both sets are thinned out to one number of pictures: precision and recall are comparable at equal numbers only. */
export function evenOverlap(real: Matrix, generated: Matrix, random: Random): Overlap {
  const most = Math.min(real.rows, generated.rows, MOST_NEIGHBOURS);
  return overlap(
    sample(real, most, random.fork('real')).features,
    sample(generated, most, random.fork('generated')).features,
  );
}

/**
 * What held-back pictures get or, without any, some of the real pictures against the others. FID depends on the number
 * of pictures, so that the floor is of as many as were generated, where there are.
 */
export function floorOf(
  real: Matrix,
  generated: number,
  heldBack: Matrix | undefined,
  random: Random,
): Floor {
  const figures = (some: Matrix, others: Matrix) => ({
    count: some.rows,
    kid: kernelDistance(some, others),
    fid: new Frechet(others).distance(some),
  });
  if (heldBack) {
    const { features } = sample(heldBack, generated, random);
    return { of: 'held-back pictures', ...figures(features, real) };
  }
  const order = [...random.permutation(real.rows)];
  const count = Math.min(generated, Math.floor(real.rows / 2));
  const [some, others] = [takeRows(real, order.slice(0, count)), takeRows(real, order.slice(count))];
  return { of: 'real pictures against the others', ...figures(some, others) };
}

/** Figures of each label that both sets have. */
export function byLabel(
  real: { set: PictureSet; features: Matrix },
  generated: { set: PictureSet; features: Matrix },
  random: Random,
): LabelFigures[] {
  const known = labelsIn(real.set);
  return labelsIn(generated.set)
    .filter((label) => known.includes(label))
    .map((label) => {
      const [a, b] = [real, generated].map(({ set, features }) =>
        takeRows(
          features,
          set.labels.flatMap((own, i) => (own === label ? [i] : [])),
        ),
      );
      const counts = { label, generated: b.rows, real: a.rows };
      if (Math.min(a.rows, b.rows) < LEAST_OF_LABEL)
        return { ...counts, kid: null, precision: null, recall: null };
      const { precision, recall } = evenOverlap(a, b, random.fork(label));
      return { ...counts, kid: kernelDistance(b, a), precision, recall };
    });
}
