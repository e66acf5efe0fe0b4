/**
 * 3×3 convolutions, and both of their gradients, by Winograd's minimal filtering F(4×4, 3×3): 36 multiplications
 * make 16 outputs instead of 144 (Winograd 1980; Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural
 * Networks", arXiv:1509.09308).
 *
 * A picture's row x of W pixels is cut into T = ⌈W/4⌉ tiles by one constant matrix B of [6T, W] that holds the tiles'
 * transform and the padding, a row of outputs is put together by the transpose of a matrix A of [6T, W']; a column
 * likewise. With v = B x Bᵀ, u = G w Gᵀ and, for the output's gradient, d = A dy Aᵀ:
 *
 *     y = Aᵀ (v·uᵀ) A,   dx = Bᵀ (d·u) B,   dw = Gᵀ (dᵀ·v) G,
 *
 * the products in the middle being 36 matrix products over all tiles of all pictures. The matrix products that apply
 * B and A transpose an operand for nothing, which moves [N, C, H, W] to [36, tiles·N, C] and back on the way.
 */
import type { convInfo } from '../shapes.js';
import type { Lowering, Physical } from './context.js';
import { product } from './matmul.js';

type Geometry = ReturnType<typeof convInfo>;

/** Outputs of a tile along one axis, and points at which its polynomials are evaluated. */
const TILE = 4;
const POINTS = 6;

/**
 * Five points and infinity. These lose the least: errors are twice those of a direct convolution in float32, five
 * four times less at worst than with Lavin & Gray's 0, ±1, ±2.
 */
const points = [0, Math.SQRT1_2, -Math.SQRT1_2, Math.SQRT2, -Math.SQRT2];

/** The coefficients of ∏(x - root), lowest first. */
function polynomial(roots: readonly number[]): number[] {
  let made = [1];
  for (const root of roots) made = [0, ...made].map((below, i) => below - root * (made[i] ?? 0));
  return made;
}

/** Toom and Cook's construction: Aᵀ [4, 6], G [6, 3], Bᵀ [6, 6] with outputs Aᵀ((G w) ⊙ (Bᵀ x)). */
function transforms(): { at: number[][]; g: number[][]; bt: number[][] } {
  const others = (j: number) => points.filter((_, i) => i !== j);
  const scale = points.map((p, j) => others(j).reduce((product, q) => product * (p - q), 1));
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  return {
    at: range(TILE).map((i) => [...points.map((p) => p ** i), i === TILE - 1 ? 1 : 0]),
    g: [...points.map((p, j) => range(3).map((k) => p ** k / scale[j])), [0, 0, 1]],
    bt: [...points.map((_, j) => [...polynomial(others(j)), 0]), polynomial(points)],
  };
}

const { at, g: gMatrix, bt } = transforms();

/** One axis of a convolution: sizes of input and output, rows of zeros before the input, and from output to output. */
interface Axis {
  readonly input: number;
  readonly output: number;
  readonly before: number;
  readonly stride: number;
}

const tilesOf = ({ output, stride }: Axis): number => Math.ceil(((output - 1) * stride + 1) / TILE);

/** B [6T, input]: row p·T + t is the input transform's row p at tile t. */
function inputMatrix(axis: Axis): Float32Array {
  const tiles = tilesOf(axis);
  const m = new Float32Array(POINTS * tiles * axis.input);
  for (let p = 0; p < POINTS; p++)
    for (let t = 0; t < tiles; t++)
      for (let k = 0; k < POINTS; k++) {
        const column = TILE * t + k - axis.before;
        if (column >= 0 && column < axis.input) m[(p * tiles + t) * axis.input + column] = bt[p][k];
      }
  return m;
}

/** A [6T, output]: row p·T + t is the output transform's column p at tile t, of which a stride leaves outputs out. */
function outputMatrix(axis: Axis): Float32Array {
  const tiles = tilesOf(axis);
  const m = new Float32Array(POINTS * tiles * axis.output);
  for (let p = 0; p < POINTS; p++)
    for (let t = 0; t < tiles; t++)
      for (let i = 0; i < TILE; i++) {
        const column = (TILE * t + i) / axis.stride;
        if (Number.isInteger(column) && column < axis.output)
          m[(p * tiles + t) * axis.output + column] = at[i][p];
      }
  return m;
}

/** G ⊗ G [36, 9], columns' points outermost: filters of nine numbers to 36. */
function filterMatrix(): Float32Array {
  const m = new Float32Array(POINTS ** 2 * 9);
  for (let q = 0; q < POINTS; q++)
    for (let p = 0; p < POINTS; p++)
      for (let i = 0; i < 3; i++)
        for (let j = 0; j < 3; j++) m[(q * POINTS + p) * 9 + i * 3 + j] = gMatrix[p][i] * gMatrix[q][j];
  return m;
}

/** G w Gᵀ of `count` filters, [count, 9] → [36, count]. */
function transformFilters(w: Float32Array, count: number): Float32Array {
  const m = filterMatrix();
  const out = new Float32Array(POINTS ** 2 * count);
  for (let r = 0; r < POINTS ** 2; r++)
    for (let f = 0; f < count; f++) {
      let sum = 0;
      for (let k = 0; k < 9; k++) sum += m[r * 9 + k] * w[f * 9 + k];
      out[r * count + f] = sum;
    }
  return out;
}

const rowsOf = (g: Geometry): Axis => ({
  input: g.inHeight,
  output: g.outHeight,
  before: g.padInfo.top,
  stride: g.strideHeight,
});
const columnsOf = (g: Geometry): Axis => ({
  input: g.inWidth,
  output: g.outWidth,
  before: g.padInfo.left,
  stride: g.strideWidth,
});

/** Multiplications that the cores do while one number of a transformed filter comes from memory (measured). */
const READ = 40;

/**
 * The cost of Winograd's way over the direct one's, in multiplications. Tiles save three quarters of them, but cutting
 * a row and putting it together cost more the longer the row is, and filters grow fourfold.
 */
export function winogradCost(g: Geometry): number {
  const [rows, columns] = [rowsOf(g), columnsOf(g)];
  const [th, tw] = [POINTS * tilesOf(rows), POINTS * tilesOf(columns)];
  const moved = (h: number, w: number) => tw * h * w + th * tw * h;
  const { batchSize: n, inChannels: ci, outChannels: co } = g;
  const cut = ci * moved(g.inHeight, g.inWidth) + co * moved(g.outHeight, g.outWidth);
  const made = n * (cut + th * tw * ci * co) + READ * POINTS ** 2 * ci * co;
  return made / (9 * n * g.outHeight * g.outWidth * ci * co);
}

/** Tensors of one convolution between pictures and tiles. All names are of physical tensors. */
export class Winograd {
  private readonly rows: Axis;
  private readonly columns: Axis;
  private readonly tiles: number;

  constructor(
    private readonly l: Lowering,
    private readonly g: Geometry,
  ) {
    this.rows = rowsOf(g);
    this.columns = columnsOf(g);
    this.tiles = tilesOf(this.rows) * tilesOf(this.columns);
  }

  private matrix(kind: 'input' | 'output', axis: Axis): string {
    const make = kind === 'input' ? inputMatrix : outputMatrix;
    return this.l.memo(`winograd ${kind} ${Object.values(axis)}`, () =>
      this.l.initializer('float32', [POINTS * tilesOf(axis), axis[kind]], make(axis)),
    );
  }

  private filters(): string {
    return this.l.memo('winograd filter', () =>
      this.l.initializer('float32', [POINTS ** 2, 9], filterMatrix()),
    );
  }

  /** [N, C, H, W] → [36, tiles·N, C], by B for inputs, by A for gradients of outputs. */
  private cut(x: string, kind: 'input' | 'output', channels: number): string {
    const { l, rows, columns, g } = this;
    const lines = l.reshape(x, [g.batchSize * channels * rows[kind], columns[kind]]);
    // [6·Tw, N·C·H], the points outermost
    const wide = product(l, this.matrix(kind, columns), lines, false, true);
    const upright = l.reshape(wide, [POINTS, tilesOf(columns) * g.batchSize * channels, rows[kind]]);
    // [6, 6·Th, Tw·N·C]
    const both = product(l, this.matrix(kind, rows), upright, false, true, 1, [2, 3]);
    return l.reshape(both, [POINTS ** 2, this.tiles * g.batchSize, channels]);
  }

  /** [36, tiles·N, C] → [N, C, H, W], by Aᵀ for outputs, by Bᵀ for gradients of inputs. */
  private join(x: string, kind: 'input' | 'output', channels: number): string {
    const { l, rows, columns, g } = this;
    const both = l.reshape(x, [POINTS, POINTS * tilesOf(rows), tilesOf(columns) * g.batchSize * channels]);
    const upright = product(l, both, this.matrix(kind, rows), true, false, 1, [3, 2]);
    const wide = l.reshape(upright, [POINTS * tilesOf(columns), g.batchSize * channels * rows[kind]]);
    const lines = product(l, wide, this.matrix(kind, columns), true, false);
    return l.reshape(lines, [g.batchSize, channels, rows[kind], columns[kind]]);
  }

  /** A gradient's tiles serve both the input's and the filter's gradient. */
  private gradientTiles(dy: string): string {
    return this.l.memo(
      `winograd tiles ${dy} ${Object.values(this.rows)} ${Object.values(this.columns)}`,
      () => this.cut(dy, 'output', this.g.outChannels),
    );
  }

  /** [O, I, 3, 3] → [36, O, I]: at compile time where the filter is constant. */
  private filterTiles({ name: w, data }: Physical): string {
    const { inChannels: ci, outChannels: co } = this.g;
    if (data) {
      const shape = [POINTS ** 2, co, ci];
      return this.l.memo(`winograd filter ${w}`, () =>
        this.l.initializer('float32', shape, transformFilters(data as Float32Array, co * ci)),
      );
    }
    const flat = this.l.reshape(w, [co * ci, 9]);
    return this.l.reshape(product(this.l, this.filters(), flat, false, true), [POINTS ** 2, co, ci]);
  }

  /**
   * @param x [N, I, H, W]
   * @param w [O, I, 3, 3]
   * @returns [N, O, H', W']
   */
  convolve(x: string, w: Physical): string {
    const tiles = this.cut(x, 'input', this.g.inChannels);
    const made = product(this.l, tiles, this.filterTiles(w), false, true, 1, [3, 3]);
    return this.join(made, 'output', this.g.outChannels);
  }

  /**
   * @param dy [N, O, H', W']
   * @param w [O, I, 3, 3]
   * @returns the gradient of x, [N, I, H, W]
   */
  inputGradient(dy: string, w: Physical): string {
    const made = product(this.l, this.gradientTiles(dy), this.filterTiles(w), false, false, 1, [3, 3]);
    return this.join(made, 'input', this.g.inChannels);
  }

  /**
   * The tiles of x are cut anew: keeping them from the forward pass would take 2.25 times the memory of x.
   * @param x [N, I, H, W]
   * @param dy [N, O, H', W']
   * @returns the gradient of w, [O, I, 3, 3]
   */
  filterGradient(x: string, dy: string): string {
    const { inChannels: ci, outChannels: co } = this.g;
    const tiles = this.cut(x, 'input', ci);
    const made = product(this.l, this.gradientTiles(dy), tiles, true, false, 1, [3, 3]);
    const flat = this.l.reshape(made, [POINTS ** 2, co * ci]);
    return this.l.reshape(product(this.l, flat, this.filters(), true, false), [co, ci, 3, 3], [co * ci, 9]);
  }
}
