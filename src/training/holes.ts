/** Random holes: what a network that learns to fill in is to paint. */
import type { Random } from '../random.js';

/** 1 is painted, 0 is kept: [side, side]. */
export type Hole = Float32Array;

/** Side of a picture in stroke widths, for the thinnest and the widest brush. */
const BRUSHES = { thin: 40, wide: 4 };

/**
 * Free-form strokes: walks of a round brush that turns to and fro (after Yu et al. 2019, "Free-Form Image Inpainting with
 * Gated Convolution", section 3.4).
 * @param side in pixels
 * @param walks how many, and with which brush in pixels; default one to four, of a random brush
 */
export function strokes(random: Random, side: number, walks?: { count: number; brush: number }): Hole {
  const hole = new Float32Array(side * side);
  const count = walks?.count ?? 1 + random.int(4);
  const [thin, wide] = [Math.log(side / BRUSHES.thin), Math.log(side / BRUSHES.wide)];
  const brush = walks?.brush ?? Math.exp(thin + random.uniform(1)[0] * (wide - thin));
  for (let walk = 0; walk < count; walk++) {
    const turns = 1 + random.int(6);
    let [x, y, angle] = random.uniform(3).map((u, i) => u * (i === 2 ? 2 * Math.PI : side));
    for (let turn = 0; turn < turns; turn++) {
      const [bend, far] = random.uniform(2);
      angle += (turn % 2 ? 1 : -1) * (0.3 + bend * 1.2);
      const reach = side * (0.1 + 0.3 * far);
      const [u, v] = [x + Math.cos(angle) * reach, y + Math.sin(angle) * reach];
      line(hole, side, [x, y], [u, v], Math.max(0.5, brush / 2));
      [x, y] = [Math.min(Math.max(u, 0), side), Math.min(Math.max(v, 0), side)];
    }
  }
  // A walk along the very edge may touch no pixel's middle.
  if (!hole.includes(1)) hole[random.int(hole.length)] = 1;
  return hole;
}

type Point = readonly [x: number, y: number];

/** Paints the pixels whose middles are within `radius` of a line. */
function line(hole: Hole, side: number, [x0, y0]: Point, [x1, y1]: Point, radius: number): void {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const squared = dx * dx + dy * dy;
  const within = (at: number) => Math.min(Math.max(Math.floor(at), 0), side - 1);
  const [left, right] = [within(Math.min(x0, x1) - radius), within(Math.max(x0, x1) + radius)];
  const [top, bottom] = [within(Math.min(y0, y1) - radius), within(Math.max(y0, y1) + radius)];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
      const t = Math.min(Math.max((px * dx + py * dy) / (squared || 1), 0), 1);
      if (Math.hypot(px - t * dx, py - t * dy) <= radius) hole[y * side + x] = 1;
    }
  }
}

/** A rectangle: [x0, x1) × [y0, y1) in shares of the side, at least a pixel of it. */
export function box(side: number, [x0, y0, x1, y1]: readonly [number, number, number, number]): Hole {
  const pixel = (share: number) => Math.round(share * side);
  const last = (from: number, to: number) => Math.max(pixel(from) + 1, pixel(to));
  const inside = (i: number, from: number, to: number) => i >= pixel(from) && i < last(from, to);
  return Float32Array.from({ length: side * side }, (_, i) =>
    inside(i % side, x0, x1) && inside(Math.floor(i / side), y0, y1) ? 1 : 0,
  );
}

function randomBox(random: Random, side: number): Hole {
  const [w, h, x, y] = random.uniform(4);
  const [width, height] = [0.1 + 0.6 * w, 0.1 + 0.6 * h];
  const [left, top] = [x * (1 - width), y * (1 - height)];
  return box(side, [left, top, left + width, top + height]);
}

/** All on one side of a straight cut through the middle part, level or upright. */
function randomHalf(random: Random, side: number): Hole {
  const at = 0.3 + 0.4 * random.uniform(1)[0];
  const halves = [
    [0, 0, at, 1],
    [at, 0, 1, 1],
    [0, 0, 1, at],
    [0, at, 1, 1],
  ] as const;
  return box(side, halves[random.int(4)]);
}

/** Shares of the kinds of holes; what is left is whole, so that the network also draws without anything to go by. */
const SHARES = { strokes: 0.45, box: 0.25, half: 0.15 };

/**
 * A hole of a random kind: strokes, a box, a half, or the whole picture.
 * @param side of the picture in pixels
 */
export function randomHole(random: Random, side: number): Hole {
  const [kind] = random.uniform(1);
  if (kind < SHARES.strokes) return strokes(random, side);
  if (kind < SHARES.strokes + SHARES.box) return randomBox(random, side);
  if (kind < SHARES.strokes + SHARES.box + SHARES.half) return randomHalf(random, side);
  return new Float32Array(side * side).fill(1);
}
