/** Tables for people. */
import { oneLine } from './report.js';

/** Rows in aligned columns; every cell is made safe for a terminal, because it may come from a foreign file. */
export function columns(rows: readonly (readonly string[])[], indent = '  '): string[] {
  const safe = rows.map((row) => row.map(oneLine));
  const widths: number[] = [];
  for (const row of safe) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return safe.map(
    (row) =>
      indent +
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
  );
}
