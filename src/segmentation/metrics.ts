/** How well predicted masks agree with the truth. */
import { Random } from '../random.js';
import { IGNORED } from './classes.js';

/** Pixels of one picture, by class: predicted and true, predicted only, true only. */
export interface Counts {
  readonly tp: readonly number[];
  readonly fp: readonly number[];
  readonly fn: readonly number[];
}

/** @param truth IGNORED pixels do not count */
export function countsOf(predicted: Uint8Array, truth: Uint8Array, classes: number): Counts {
  const [tp, fp, fn] = [0, 1, 2].map(() => new Array<number>(classes).fill(0));
  for (let i = 0; i < truth.length; i++) {
    const [p, t] = [predicted[i], truth[i]];
    if (t === IGNORED) continue;
    if (p === t) tp[t]++;
    else {
      fp[p]++;
      fn[t]++;
    }
  }
  return { tp, fp, fn };
}

export interface ClassScores {
  /** 2·TP / (2·TP + FP + FN); null for a class that is neither there nor predicted. */
  readonly dice: number | null;
  /** TP / (TP + FP + FN) */
  readonly iou: number | null;
  /** TP / (TP + FP): how much of what is predicted is true. */
  readonly precision: number | null;
  /** TP / (TP + FN): how much of what is true is found. */
  readonly recall: number | null;
}

const ratio = (a: number, b: number): number | null => (b > 0 ? a / b : null);

/** Scores of each class over the pixels of all pictures together. */
export function scoresOf(pictures: readonly Counts[], classes: number): ClassScores[] {
  return Array.from({ length: classes }, (_, c) => {
    const sum = (key: keyof Counts) => pictures.reduce((total, counts) => total + counts[key][c], 0);
    const [tp, fp, fn] = [sum('tp'), sum('fp'), sum('fn')];
    return {
      dice: ratio(2 * tp, 2 * tp + fp + fn),
      iou: ratio(tp, tp + fp + fn),
      precision: ratio(tp, tp + fp),
      recall: ratio(tp, tp + fn),
    };
  });
}

/** Mean Dice of the classes but the background (class 0); 0 where none is there. */
export function meanDice(scores: readonly ClassScores[]): number {
  const dice = scores.slice(1).flatMap((s) => (s.dice === null ? [] : [s.dice]));
  return dice.length > 0 ? dice.reduce((a, b) => a + b, 0) / dice.length : 0;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * The interval that holds 95 % of the scores when the pictures are drawn anew with repetition (Efron 1979, percentiles):
 * how far the score is a matter of which pictures were held back.
 * @param score of a choice of pictures; null choices do not count
 */
export function bootstrap(
  pictures: readonly Counts[],
  score: (chosen: readonly Counts[]) => number | null,
  { seed = 0, rounds = 500 }: { seed?: number; rounds?: number } = {},
): Interval | null {
  const random = new Random(seed, 'bootstrap');
  const values: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const draws = random.uniform(pictures.length);
    const value = score(Array.from(draws, (u) => pictures[Math.floor(u * pictures.length)]));
    if (value !== null) values.push(value);
  }
  if (values.length === 0) return null;
  values.sort((a, b) => a - b);
  const at = (q: number) => values[Math.round(q * (values.length - 1))];
  return { low: at(0.025), high: at(0.975) };
}

export interface Evaluation {
  readonly pictures: number;
  readonly meanDice: number;
  /** Of the mean Dice. */
  readonly interval: Interval | null;
  readonly classes: readonly (ClassScores & {
    readonly name: string;
    /** Of its Dice. */
    readonly interval: Interval | null;
  })[];
}

/** The whole report of held-back pictures. */
export function evaluate(pictures: readonly Counts[], names: readonly string[]): Evaluation {
  const n = names.length;
  return {
    pictures: pictures.length,
    meanDice: meanDice(scoresOf(pictures, n)),
    interval: bootstrap(pictures, (chosen) => meanDice(scoresOf(chosen, n))),
    classes: scoresOf(pictures, n).map((scores, c) => ({
      name: names[c],
      ...scores,
      interval: bootstrap(pictures, (chosen) => scoresOf(chosen, n)[c].dice),
    })),
  };
}
