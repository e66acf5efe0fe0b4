/** Rows of features against rows of features. */
import type { Matrix } from './extractor.js';

/** @returns a matrix of some rows of another */
export function takeRows({ columns, data }: Matrix, rows: readonly number[]): Matrix {
  const out = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    out.set(data.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return { rows: rows.length, columns, data: out };
}

/** Dot products of row `i` of `a` with every row of `b`, summed in float64, into `out`. */
export function dots(a: Matrix, i: number, b: Matrix, out: Float64Array): void {
  const { columns } = a;
  const row = a.data.subarray(i * columns, (i + 1) * columns);
  for (let j = 0, at = 0; j < b.rows; j++) {
    let sum = 0;
    for (let c = 0; c < columns; c++) sum += row[c] * b.data[at++];
    out[j] = sum;
  }
}

/** Euclidean distances of row `i` of `a` from every row of `b`, in float64, into `out`. */
export function distances(a: Matrix, i: number, b: Matrix, out: Float64Array): void {
  const { columns } = a;
  const row = a.data.subarray(i * columns, (i + 1) * columns);
  for (let j = 0, at = 0; j < b.rows; j++) {
    let sum = 0;
    for (let c = 0; c < columns; c++) {
      const d = row[c] - b.data[at++];
      sum += d * d;
    }
    out[j] = Math.sqrt(sum);
  }
}
