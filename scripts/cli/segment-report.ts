/** Scores of a segmentation in words. */
import type { Evaluation } from '../../src/segmentation/index.js';

const three = (x: number | null): string => (x === null ? '–' : x.toFixed(3));

/** "Dice 0.912 (0.880–0.940): cell 0.912 (IoU 0.838)" */
export function scoreLine({ meanDice, interval, classes }: Evaluation): string {
  const range = interval ? ` (${three(interval.low)}–${three(interval.high)})` : '';
  const each = classes.slice(1).map(({ name, dice, iou }) => `${name} ${three(dice)} (IoU ${three(iou)})`);
  return `Dice ${three(meanDice)}${range}: ${each.join(', ')}`;
}

/** A table of each class's scores. */
export function scoreTable({ classes, pictures, meanDice, interval }: Evaluation): string[] {
  const width = Math.max(10, ...classes.map(({ name }) => name.length));
  const row = (name: string, cells: readonly string[]) =>
    `${name.padEnd(width)}  ${cells.map((cell) => cell.padEnd(9)).join('  ')}`.trimEnd();
  const range = (i: { low: number; high: number } | null) => (i ? `${three(i.low)}–${three(i.high)}` : '–');
  return [
    row('class', ['Dice', 'IoU', 'precision', 'recall', '95 % of Dice']),
    ...classes.map((c) =>
      row(c.name, [three(c.dice), three(c.iou), three(c.precision), three(c.recall), range(c.interval)]),
    ),
    `mean Dice without ${classes[0].name}: ${three(meanDice)} (${range(interval)}), ${pictures} pictures`,
  ];
}
