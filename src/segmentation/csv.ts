/** Tables as RFC 4180 has them. */
export type Cell = string | number | boolean | null;

/** Numbers have three decimals at most; null is an empty cell. */
function text(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(Number(cell.toFixed(3)));
  const word = String(cell);
  // Quoted where a comma, a quote or a line break would be taken for the table's own.
  return /[",\r\n]/.test(word) ? `"${word.replaceAll('"', '""')}"` : word;
}

/** @param head names of the columns */
export const csv = (head: readonly string[], lines: readonly (readonly Cell[])[]): string =>
  [head, ...lines].map((line) => `${line.map(text).join(',')}\r\n`).join('');
