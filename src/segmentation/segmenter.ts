/** A segmentation model at work: pictures of any size in, the probability of each class for each pixel out. */
import { totalmem } from 'node:os';
import { Compiled, type CompileOptions } from '../engine/compile.js';
import type { Params } from '../engine/params.js';
import { type Tensor, type Tensor4D, tf } from '../engine/tf.js';
import { InputError, RunError } from '../errors.js';
import type { RgbPicture, Size } from '../image/index.js';
import { asConstants } from '../pipelines/constants.js';
import { classicUNet, classicUNetSpecs } from '../unet/index.js';
import type { LabelMap } from './masks.js';
import type { SegmentModel } from './model.js';
import { reflect } from './patches.js';

/** What a model says about a picture. */
export interface Probabilities extends Size {
  readonly classes: number;
  /** [height, width, classes], each pixel's sum is 1. */
  readonly data: Float32Array;
}

export interface TileOptions {
  /** Side of the tiles that larger pictures are divided into; default the larger of 256 and the patches trained on. */
  readonly tile?: number;
  /** Pixels that neighbouring tiles share, where one fades into the other; default a quarter of the tile. */
  readonly overlap?: number;
  readonly signal?: AbortSignal;
  readonly onTile?: (done: number, total: number) => void;
}

/** Sides of graphs are multiples of this, so that pictures of many sizes share few graphs. */
const GRAIN = 32;

/** Where tiles begin along a side: evenly spread, neighbours sharing at least `overlap` pixels. */
export function tileStarts(side: number, tile: number, overlap: number): number[] {
  if (side <= tile) return [0];
  const n = Math.ceil((side - overlap) / (tile - overlap));
  return Array.from({ length: n }, (_, i) => Math.round((i * (side - tile)) / (n - 1)));
}

/** How much a tile's pixel counts: 1 inside, falling to nearly 0 towards edges that it shares. */
export function tileWeights(tile: number, overlap: number, first: boolean, last: boolean): Float32Array {
  return Float32Array.from({ length: tile }, (_, i) => {
    const fromStart = first ? 1 : (i + 0.5) / overlap;
    const fromEnd = last ? 1 : (tile - i - 0.5) / overlap;
    return Math.min(1, fromStart, fromEnd);
  });
}

/** The class of each pixel that is the most probable; of equal ones the first. */
export function mostProbable({ data, classes, width, height }: Probabilities): LabelMap {
  const labels = new Uint8Array(width * height);
  for (let i = 0, at = 0; i < labels.length; i++, at += classes) {
    let best = 0;
    for (let c = 1; c < classes; c++) if (data[at + c] > data[at + best]) best = c;
    labels[i] = best;
  }
  return { data: labels, width, height };
}

/** A segmentation model, opened for pictures of any size. Call `dispose` when done: it holds native sessions. */
export class Segmenter {
  private readonly compiled: Compiled;
  private readonly grain: number;

  constructor(
    readonly model: SegmentModel,
    options: Pick<CompileOptions, 'engine' | 'threads' | 'onBuild'> = {},
  ) {
    const { config, params } = model;
    this.grain = Math.max(GRAIN, 2 ** config.levels);
    const fn = ({ pixels, ...weights }: Record<string, Tensor>) => ({
      probs: tf.softmax(
        classicUNet(config, weights as Params, pixels as Tensor4D, { training: false }).logits,
      ),
    });
    const constants = asConstants(classicUNetSpecs(config), params);
    this.compiled = new Compiled(fn, { ...options, constants, name: 'segmentation' });
  }

  /**
   * @returns the probability of each class for each pixel
   * @throws InputError when tile and overlap do not go together, or memory would not hold the result
   */
  async probabilities(picture: RgbPicture, options: TileOptions = {}): Promise<Probabilities> {
    const { width, height } = picture;
    const classes = this.model.config.n_classes;
    const { tile, overlap } = this.tiling(options);
    const bytes = width * height * classes * 4;
    if (bytes > totalmem() / 2) {
      throw new InputError(
        `${classes} probabilities for ${width}×${height} pixels fill the memory — picture — make it smaller by --resize`,
      );
    }
    const across = this.side(width, tile);
    const down = this.side(height, tile);
    const lefts = tileStarts(Math.max(width, across), across, overlap);
    const tops = tileStarts(Math.max(height, down), down, overlap);
    const sum = new Float32Array(width * height * classes);
    const weight = lefts.length * tops.length > 1 ? new Float32Array(width * height) : null;
    let done = 0;
    for (const [j, top] of tops.entries()) {
      const wy = tileWeights(down, overlap, j === 0, j === tops.length - 1);
      for (const [i, left] of lefts.entries()) {
        options.signal?.throwIfAborted();
        const wx = tileWeights(across, overlap, i === 0, i === lefts.length - 1);
        const probs = await this.tile(picture, left, top, across, down);
        for (let y = 0; y < Math.min(down, height - top); y++) {
          for (let x = 0; x < Math.min(across, width - left); x++) {
            const share = weight ? wy[y] * wx[x] : 1;
            const at = (top + y) * width + left + x;
            for (let c = 0; c < classes; c++)
              sum[at * classes + c] += share * probs[(y * across + x) * classes + c];
            if (weight) weight[at] += share;
          }
        }
        options.onTile?.(++done, lefts.length * tops.length);
      }
    }
    if (weight) {
      for (let i = 0; i < weight.length; i++) {
        for (let c = 0; c < classes; c++) sum[i * classes + c] /= weight[i];
      }
    }
    return { data: sum, classes, width, height };
  }

  private tiling({ tile, overlap }: TileOptions): { tile: number; overlap: number } {
    const side = tile ?? Math.max(256, this.model.patch);
    const rounded = Math.ceil(side / this.grain) * this.grain;
    const shared = overlap ?? Math.floor(rounded / 4);
    if (
      !Number.isInteger(side) ||
      side < 1 ||
      !Number.isInteger(shared) ||
      shared < 0 ||
      shared > rounded / 2
    ) {
      throw new InputError(
        `tiles of ${side} pixels that share ${shared} are not possible — --tile, --overlap — share at most half a tile`,
      );
    }
    return { tile: rounded, overlap: shared };
  }

  /** Of a tile along a side of the picture: small pictures are one tile. */
  private side(pixels: number, tile: number): number {
    return Math.min(tile, Math.ceil(pixels / this.grain) * this.grain);
  }

  /** One tile; what lies outside the picture is mirrored at its edge. */
  private async tile(
    { data, width, height }: RgbPicture,
    left: number,
    top: number,
    across: number,
    down: number,
  ): Promise<Float32Array> {
    const pixels = new Float32Array(down * across * 3);
    for (let y = 0, at = 0; y < down; y++) {
      const row = reflect(top + y, height) * width;
      for (let x = 0; x < across; x++) {
        const from = (row + reflect(left + x, width)) * 3;
        for (let c = 0; c < 3; c++) pixels[at++] = data[from + c] / 127.5 - 1;
      }
    }
    const { probs } = await this.compiled.run({
      pixels: { data: pixels, shape: [1, down, across, 3], dtype: 'float32' },
    });
    if (!Number.isFinite(probs[0]))
      throw new RunError(
        'the network gives values that are no numbers — segmentation — use another checkpoint',
      );
    return probs as Float32Array;
  }

  async dispose(): Promise<void> {
    await this.compiled.dispose();
  }
}
