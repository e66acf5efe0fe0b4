/** What a comparison of generated pictures with real ones finds: plain data, as report.json holds it. */
import type { ExtractorIdentity } from './extractor.js';
import type { Estimate } from './kid.js';
import type { Overlap } from './manifold.js';
import type { Suspicion } from './memorisation.js';

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
  /** Real pictures that the data have twice: they are left out of the comparison, which they would make useless. */
  readonly twins: number;
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

export interface PictureEvaluation {
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
