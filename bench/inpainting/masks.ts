/** The holes that the bench has painted, each a kind that people make. */
import type { PaintMask } from '../../src/pipelines/paint-mask.js';
import { Random } from '../../src/random.js';
import { box, type Hole, strokes } from '../../src/training/holes.js';

const HALVES = [
  [0, 0, 0.5, 1],
  [0.5, 0, 1, 1],
  [0, 0, 1, 0.5],
  [0, 0.5, 1, 1],
] as const;

/** By kind: the hole of picture `i`, [side, side]. */
const HOLES: Readonly<Record<string, (random: Random, side: number, i: number) => Hole>> = {
  half: (_, side, i) => box(side, HALVES[i % 4]),
  face: (_, side) => box(side, [0.25, 0.25, 0.75, 0.75]),
  eyes: (_, side) => box(side, [0.15, 0.35, 0.85, 0.5]),
  strokes: (random, side) => strokes(random, side, { count: 3, brush: side / 10 }),
  scratch: (random, side) => strokes(random, side, { count: 1, brush: side / 40 }),
};

export const KINDS: readonly string[] = Object.keys(HOLES);

/** The mask of a kind for picture `i`. */
export function maskOf(kind: string, side: number, i: number, seed: number): PaintMask {
  const data = HOLES[kind](new Random(seed, 'bench', kind, i), side, i);
  return { data, width: side, height: side };
}
