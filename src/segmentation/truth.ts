/** Predictions against masks that are known to be true. */
import { InputError } from '../errors.js';
import type { ClassTable } from './classes.js';
import { type LabelMap, labelMap, readMaskColours } from './masks.js';
import { type Counts, countsOf, type Evaluation, evaluate } from './metrics.js';
import type { SheetRow } from './overlay.js';
import type { Prediction } from './predict.js';

/** Rows that a sheet shows. */
const SHOWN = 8;

/** Gathers predictions beside their truth, and says how well they agree. */
export class Evaluator {
  private readonly counts: Counts[] = [];
  private readonly rows: SheetRow[] = [];

  /** @param total pictures that will come, of which a sheet shows some, evenly spread */
  constructor(
    private readonly table: ClassTable,
    private readonly total: number,
  ) {}

  /**
   * @param mask file of the true mask, in the colours of the model's classes
   * @throws InputError when it cannot be read or has another size than its picture
   */
  async add(mask: string, { picture, labels }: Prediction): Promise<LabelMap> {
    const colours = await readMaskColours(mask);
    if (colours.width !== picture.width || colours.height !== picture.height) {
      throw new InputError(
        `the mask is ${colours.width}×${colours.height}, the picture ${picture.width}×${picture.height} — ${mask} — make them equal`,
      );
    }
    const truth = labelMap(colours, this.table);
    if (this.counts.length >= (this.rows.length * this.total) / SHOWN)
      this.rows.push({ picture, truth, prediction: labels });
    this.counts.push(countsOf(labels.data, truth.data, this.table.classes.length));
    return truth;
  }

  /** Picture, truth and prediction of some pictures. */
  get sheet(): readonly SheetRow[] {
    return this.rows;
  }

  /** Over all pictures that were added; null when none was. */
  get evaluation(): Evaluation | null {
    const names = this.table.classes.map(({ name }) => name);
    return this.counts.length > 0 ? evaluate(this.counts, names) : null;
  }
}
