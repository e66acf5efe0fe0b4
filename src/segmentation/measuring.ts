/** Measuring a run's model on the pictures that were held back, keeping the best one, and knowing when to stop. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../files/index.js';
import type { ClassTable } from './classes.js';
import type { Example } from './dataset.js';
import type { LabelMap } from './masks.js';
import { type Counts, countsOf, type Evaluation, evaluate } from './metrics.js';
import { mostProbable, type Segmenter } from './segmenter.js';

/** One line of validation.jsonl. */
export interface Measurement extends Evaluation {
  readonly step: number;
}

export interface Measured {
  readonly evaluation: Evaluation;
  readonly predictions: readonly LabelMap[];
}

/** Predicts pictures and compares them with their truth. */
export async function measure(
  segmenter: Segmenter,
  examples: readonly Example[],
  { classes }: ClassTable,
  { keep = 8, signal }: { keep?: number; signal?: AbortSignal } = {},
): Promise<Measured> {
  const counts: Counts[] = [];
  const predictions: LabelMap[] = [];
  for (const example of examples) {
    const labels = mostProbable(await segmenter.probabilities(example, { signal }));
    counts.push(countsOf(labels.data, example.labels, classes.length));
    if (predictions.length < keep) predictions.push(labels);
  }
  const names = classes.map(({ name }) => name);
  return { evaluation: evaluate(counts, names), predictions };
}

/** validation.jsonl of a run: what was measured when. */
export class Validation {
  private constructor(
    private readonly path: string,
    private readonly found: Measurement[],
  ) {}

  /** Opens the list of a run that stands at `step`: what was measured of later states is dropped. */
  static async open(dir: string, step: number): Promise<Validation> {
    const path = join(dir, 'validation.jsonl');
    const text = await readFile(path, 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    const found = lines.map((line) => JSON.parse(line) as Measurement).filter((entry) => entry.step <= step);
    return new Validation(path, found);
  }

  get entries(): readonly Measurement[] {
    return this.found;
  }

  /** The measurement with the largest mean Dice, of equal ones the first; null before any. */
  get best(): Measurement | null {
    return this.found.reduce<Measurement | null>(
      (best, entry) => (best === null || entry.meanDice > best.meanDice ? entry : best),
      null,
    );
  }

  /** How many measurements were made since the best. */
  get sinceBest(): number {
    const { best } = this;
    return best === null ? 0 : this.found.length - 1 - this.found.indexOf(best);
  }

  async add(entry: Measurement): Promise<void> {
    this.found.push(entry);
    await writeFileAtomic(this.path, this.found.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }
}
