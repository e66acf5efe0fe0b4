/** Joins what was drawn to the picture around it without a seam. */

/** Numbers on a grid, [height, width, channels]. */
interface Field {
  readonly values: Float32Array;
  /** [height, width]: 1 where they are to be found. */
  readonly open: Uint8Array;
  readonly width: number;
  readonly height: number;
}

const CHANNELS = 3;

/** Sweeps over each level: what is left after them is smooth, and was settled on the coarser ones. */
const SWEEPS = 20;

/** Over-relaxation of the sweeps. */
const RELAXATION = 1.5;

/**
 * Fills the open part of a field with the smoothest values that meet the known ones: each is the mean of its neighbours
 * (Laplace's equation), beyond the edge of the grid there are none. Coarse grids first, whose values the finer ones start
 * from. Without known values all are 0.
 */
export function fillSmoothly(field: Field): void {
  const { values, open, width, height } = field;
  if (!open.includes(1)) return;
  if (!open.includes(0)) {
    values.fill(0);
    return;
  }
  const coarse = halved(field);
  fillSmoothly(coarse);
  for (let at = 0; at < open.length; at++) {
    if (!open[at]) continue;
    const cell = (Math.floor(at / width) >> 1) * coarse.width + ((at % width) >> 1);
    for (let c = 0; c < CHANNELS; c++) values[at * CHANNELS + c] = coarse.values[cell * CHANNELS + c];
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) relax(values, open, width, height);
}

/** Means of the known values of two by two cells; open where none is known. */
function halved({ values, open, width, height }: Field): Field {
  const [w, h] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const sums = new Float32Array(w * h * CHANNELS);
  const known = new Uint8Array(w * h);
  for (let at = 0; at < open.length; at++) {
    if (open[at]) continue;
    const cell = (Math.floor(at / width) >> 1) * w + ((at % width) >> 1);
    known[cell]++;
    for (let c = 0; c < CHANNELS; c++) sums[cell * CHANNELS + c] += values[at * CHANNELS + c];
  }
  for (let i = 0; i < sums.length; i++) sums[i] /= known[Math.floor(i / CHANNELS)] || 1;
  return { values: sums, open: known.map((n) => (n > 0 ? 0 : 1)), width: w, height: h };
}

/** A sweep of successive over-relaxation. */
function relax(values: Float32Array, open: Uint8Array, width: number, height: number): void {
  const row = width * CHANNELS;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (!open[at]) continue;
      const count = (x > 0 ? 1 : 0) + (x < width - 1 ? 1 : 0) + (y > 0 ? 1 : 0) + (y < height - 1 ? 1 : 0);
      for (let i = at * CHANNELS; i < (at + 1) * CHANNELS; i++) {
        let sum = 0;
        if (x > 0) sum += values[i - CHANNELS];
        if (x < width - 1) sum += values[i + CHANNELS];
        if (y > 0) sum += values[i - row];
        if (y < height - 1) sum += values[i + row];
        values[i] += RELAXATION * (sum / count - values[i]);
      }
    }
  }
}

/** What is painted, and a pixel around it as far as there are: first column and row, columns and rows. */
function surroundings(painted: Float32Array, width: number, height: number) {
  let [x0, x1, y0, y1] = [width, -1, height, -1];
  for (let at = 0; at < painted.length; at++) {
    if (painted[at] <= 0) continue;
    const x = at % width;
    x0 = Math.min(x0, x);
    x1 = Math.max(x1, x);
    y1 = (at - x) / width;
    y0 = Math.min(y0, y1);
  }
  const [left, top] = [Math.max(0, x0 - 1), Math.max(0, y0 - 1)];
  const [columns, rows] = [Math.min(width, x1 + 2) - left, Math.min(height, y1 + 2) - top];
  return { left, top, columns: Math.max(0, columns), rows: Math.max(0, rows) };
}

/**
 * What was drawn, with the colours of its edge drawn to those of the picture there, and what is inside by as much as
 * that is near: its gradients stay its own (Pérez, Gangnet & Blake 2003, "Poisson image editing", eq. 8).
 * @param drawn bytes, [height, width, 3], also beside what is painted
 * @param picture like `drawn`
 * @param painted [height, width], above 0 where the picture is painted
 * @returns like `drawn`, not rounded, and not clipped
 */
export function joined(
  drawn: Uint8Array,
  picture: Uint8Array,
  painted: Float32Array,
  width: number,
  height: number,
): Float32Array {
  const { left, top, columns, rows } = surroundings(painted, width, height);
  const open = new Uint8Array(columns * rows);
  const values = new Float32Array(columns * rows * CHANNELS);
  const eachNumber = (visit: (from: number, i: number) => void) => {
    for (let y = 0; y < rows; y++) {
      const from = ((top + y) * width + left) * CHANNELS;
      for (let k = 0; k < columns * CHANNELS; k++) visit(from + k, y * columns * CHANNELS + k);
    }
  };
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++)
      open[y * columns + x] = painted[(top + y) * width + left + x] > 0 ? 1 : 0;
  eachNumber((from, i) => {
    values[i] = picture[from] - drawn[from];
  });
  fillSmoothly({ values, open, width: columns, height: rows });
  const out = new Float32Array(drawn);
  eachNumber((from, i) => {
    out[from] += values[i];
  });
  return out;
}
