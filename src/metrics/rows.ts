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

/** Dot products of row `i` of `a` with the rows of `b` from `from` on, summed in float64, into `out`. */
export function dots(a: Matrix, i: number, b: Matrix, out: Float64Array, from = 0): void {
  const { columns } = a;
  const { data } = b;
  const row = Float64Array.from(a.data.subarray(i * columns, (i + 1) * columns));
  const even = columns - (columns % 4);
  for (let j = from; j < b.rows; j++) {
    const at = j * columns;
    // Four sums: one would wait for itself.
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let c = 0; c < even; c += 4) {
      s0 += row[c] * data[at + c];
      s1 += row[c + 1] * data[at + c + 1];
      s2 += row[c + 2] * data[at + c + 2];
      s3 += row[c + 3] * data[at + c + 3];
    }
    for (let c = even; c < columns; c++) s0 += row[c] * data[at + c];
    out[j] = s0 + s1 + s2 + s3;
  }
}

/** Euclidean distances of row `i` of `a` from every row of `b`, in float64, into `out`. */
export function distances(a: Matrix, i: number, b: Matrix, out: Float64Array): void {
  const { columns } = a;
  const { data } = b;
  const row = Float64Array.from(a.data.subarray(i * columns, (i + 1) * columns));
  const even = columns - (columns % 4);
  for (let j = 0; j < b.rows; j++) {
    const at = j * columns;
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let c = 0; c < even; c += 4) {
      s0 += (row[c] - data[at + c]) ** 2;
      s1 += (row[c + 1] - data[at + c + 1]) ** 2;
      s2 += (row[c + 2] - data[at + c + 2]) ** 2;
      s3 += (row[c + 3] - data[at + c + 3]) ** 2;
    }
    for (let c = even; c < columns; c++) s0 += (row[c] - data[at + c]) ** 2;
    out[j] = Math.sqrt(s0 + s1 + s2 + s3);
  }
}
