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
  const means = sums.map((sum, i) => sum / (known[Math.floor(i / CHANNELS)] || 1));
  return { values: means, open: known.map((n) => (n > 0 ? 0 : 1)), width: w, height: h };
}

/** A sweep of successive over-relaxation. */
function relax(values: Float32Array, open: Uint8Array, width: number, height: number): void {
  const row = width * CHANNELS;
  for (let at = 0; at < open.length; at++) {
    if (!open[at]) continue;
    const [x, y] = [at % width, Math.floor(at / width)];
    const [left, right, up, down] = [x > 0, x < width - 1, y > 0, y < height - 1];
    const count = Number(left) + Number(right) + Number(up) + Number(down);
    for (let i = at * CHANNELS; i < (at + 1) * CHANNELS; i++) {
      let sum = 0;
      if (left) sum += values[i - CHANNELS];
      if (right) sum += values[i + CHANNELS];
      if (up) sum += values[i - row];
      if (down) sum += values[i + row];
      values[i] += RELAXATION * (sum / count - values[i]);
    }
  }
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
  const open = Uint8Array.from(painted, (m) => (m > 0 ? 1 : 0));
  const values = Float32Array.from(drawn, (value, i) => picture[i] - value);
  fillSmoothly({ values, open, width, height });
  return values.map((difference, i) => drawn[i] + difference);
}
