/** How much of one set lies where the other does. */
import type { Matrix } from './extractor.js';
import { distances } from './rows.js';

/** Shares, 0 to 1 (density may be above 1). */
export interface Overlap {
  /** Share of the generated pictures that lie among the real: is each picture good? */
  readonly precision: number;
  /** Share of the real pictures that lie among the generated: is every kind drawn? */
  readonly recall: number;
  /** In how many real neighbourhoods a generated picture lies, over k: precision that outliers do not inflate. */
  readonly density: number;
  /** Share of the real pictures with a generated one in their neighbourhood. */
  readonly coverage: number;
}

/** Distance of each row from its k-th nearest other row, for several k. */
function radiiOf(set: Matrix, ks: readonly number[]): Float64Array[] {
  const row = new Float64Array(set.rows);
  const radii = ks.map(() => new Float64Array(set.rows));
  for (let i = 0; i < set.rows; i++) {
    distances(set, i, set, row);
    row[i] = -1; // itself comes first
    row.sort();
    radii.forEach((of, n) => {
      of[i] = row[ks[n]];
    });
  }
  return radii;
}

/**
 * Improved precision and recall (Kynkäänniemi et al., NeurIPS 2019) and density and coverage (Naeem et al., ICML
 * 2020): a set's manifold is the union of balls around its pictures, each as wide as to its k-th nearest neighbour.
 * Both sets should be about equally large: balls shrink as pictures grow in number.
 * @param real features [m, d]
 * @param generated features [n, d]
 * @param k neighbours for precision and recall, fewer than m and n; 3 as in the paper
 * @param kDensity neighbours for density and coverage, fewer than m; 5 as in the paper
 */
export function overlap(real: Matrix, generated: Matrix, k = 3, kDensity = 5): Overlap {
  const [realRadii, densityRadii] = radiiOf(real, [k, kDensity]);
  const [generatedRadii] = radiiOf(generated, [k]);
  const row = new Float64Array(generated.rows);
  const precise = new Uint8Array(generated.rows);
  let [recalled, covered, memberships] = [0, 0, 0];
  for (let i = 0; i < real.rows; i++) {
    distances(real, i, generated, row);
    let [within, recalls] = [0, false];
    for (let j = 0; j < generated.rows; j++) {
      if (row[j] <= realRadii[i]) precise[j] = 1;
      if (row[j] <= densityRadii[i]) within++;
      if (row[j] <= generatedRadii[j]) recalls = true;
    }
    memberships += within;
    if (within > 0) covered++;
    if (recalls) recalled++;
  }
  return {
    precision: precise.reduce((sum, x) => sum + x, 0) / generated.rows,
    recall: recalled / real.rows,
    density: memberships / (kDensity * generated.rows),
    coverage: covered / real.rows,
  };
}
