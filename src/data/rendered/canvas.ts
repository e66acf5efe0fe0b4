/** A picture and its mask, drawn together: every form goes to both, so that the mask is exact. */
import type { Random } from '../../random.js';

/** Drawings are 100 units wide and high, whatever the size in pixels. */
export const SIDE = 100;

/** Numbers of a scene, one after another. */
export class Dice {
  constructor(private readonly random: Random) {}

  between(low: number, high: number): number {
    return low + (high - low) * this.random.uniform(1)[0];
  }

  /** A whole number from `low` to `high`, both possible. */
  whole(low: number, high: number): number {
    return low + this.random.int(high - low + 1);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.random.int(choices.length)];
  }

  chance(share: number): boolean {
    return this.random.uniform(1)[0] < share;
  }

  /** A colour by hue in degrees, saturation and lightness in per cent. */
  colour([h0, h1]: Range, [s0, s1]: Range, [l0, l1]: Range): string {
    return hsl(this.between(h0, h1), this.between(s0, s1), this.between(l0, l1));
  }
}

export type Range = readonly [number, number];

export const hsl = (h: number, s: number, l: number): string =>
  `hsl(${((h % 360) + 360) % 360},${s.toFixed(1)}%,${Math.max(0, Math.min(100, l)).toFixed(1)}%)`;

export type Point = readonly [number, number];
const at = ([x, y]: Point): string => `${x.toFixed(2)} ${y.toFixed(2)}`;

export const polygon = (points: readonly Point[]): string => `M${points.map(at).join('L')}Z`;

/** A closed curve through points (Catmull & Rom's spline as Bézier curves). */
export function closedCurve(points: readonly Point[]): string {
  const n = points.length;
  const p = (i: number) => points[(i + n) % n];
  const parts = points.map((_, i) => {
    const [a, b, c, d] = [p(i - 1), p(i), p(i + 1), p(i + 2)];
    const from: Point = [b[0] + (c[0] - a[0]) / 6, b[1] + (c[1] - a[1]) / 6];
    const to: Point = [c[0] - (d[0] - b[0]) / 6, c[1] - (d[1] - b[1]) / 6];
    return `C${at(from)} ${at(to)} ${at(c)}`;
  });
  return `M${at(p(0))}${parts.join('')}Z`;
}

/** An open curve through three points. */
export const arc = (a: Point, through: Point, b: Point): string =>
  `M${at(a)}Q${at([2 * through[0] - (a[0] + b[0]) / 2, 2 * through[1] - (a[1] + b[1]) / 2])} ${at(b)}`;

export const circle = ([x, y]: Point, r: number): string =>
  `M${at([x - r, y])}A${r} ${r} 0 1 0 ${at([x + r, y])}A${r} ${r} 0 1 0 ${at([x - r, y])}Z`;

/** A round form whose radius changes with the angle by up to `unevenness` of itself. */
export function blob(
  dice: Dice,
  [x, y]: Point,
  r: number,
  unevenness: number,
  squash = 1,
  turn = dice.between(0, Math.PI),
): string {
  const n = 9;
  const points = Array.from({ length: n }, (_, i): Point => {
    const angle = (2 * Math.PI * i) / n;
    const radius = r * (1 + dice.between(-unevenness, unevenness));
    const [u, v] = [Math.cos(angle) * radius, Math.sin(angle) * radius * squash];
    return [x + u * Math.cos(turn) - v * Math.sin(turn), y + u * Math.sin(turn) + v * Math.cos(turn)];
  });
  return closedCurve(points);
}

/** A rectangle around a point, turned by degrees. */
export function box([x, y]: Point, width: number, height: number, degrees = 0): string {
  const angle = (degrees * Math.PI) / 180;
  const corners: Point[] = [
    [-1, -1],
    [1, -1],
    [1, 1],
    [-1, 1],
  ];
  return polygon(
    corners.map(([u, v]): Point => {
      const [a, b] = [(u * width) / 2, (v * height) / 2];
      return [x + a * Math.cos(angle) - b * Math.sin(angle), y + a * Math.sin(angle) + b * Math.cos(angle)];
    }),
  );
}

export interface Outline {
  readonly colour: string;
  readonly width: number;
}

export class Canvas {
  private readonly picture: string[] = [];
  private readonly mask: string[] = [];
  private readonly defs: string[] = [];

  /** @param colours of the classes in the mask, `#rrggbb` */
  constructor(private readonly colours: readonly string[]) {}

  /** A gradient from top (or the middle) to bottom (or the edge). @returns how a fill names it */
  gradient(from: string, to: string, kind: 'linear' | 'radial' = 'linear'): string {
    const id = `g${this.defs.length}`;
    const stops = `<stop offset="0" stop-color="${from}"/><stop offset="1" stop-color="${to}"/>`;
    this.defs.push(
      kind === 'linear'
        ? `<linearGradient id="${id}" x2="0" y2="1">${stops}</linearGradient>`
        : `<radialGradient id="${id}">${stops}</radialGradient>`,
    );
    return `url(#${id})`;
  }

  /** A form that belongs to a class, its outline included. */
  fill(label: number, d: string, paint: string, outline?: Outline): void {
    const width = `stroke-width="${outline?.width ?? 0}" stroke-linejoin="round"`;
    const [inside, own] = [outline?.colour ?? 'none', this.colours[label]];
    this.picture.push(`<path d="${d}" fill="${paint}" stroke="${inside}" ${width}/>`);
    this.mask.push(`<path d="${d}" fill="${own}" stroke="${outline ? own : 'none'}" ${width}/>`);
  }

  /** A line that belongs to a class. */
  stroke(label: number, d: string, width: number, paint: string, more = ''): void {
    const line = `d="${d}" fill="none" stroke-width="${width.toFixed(2)}" stroke-linecap="round" stroke-linejoin="round"`;
    this.picture.push(`<path ${line} stroke="${paint}" ${more}/>`);
    this.mask.push(`<path ${line} stroke="${this.colours[label]}"/>`);
  }

  /** What is seen and belongs to whatever it lies on. */
  decorate(d: string, more: string): void {
    this.picture.push(`<path d="${d}" ${more}/>`);
  }

  /** Two SVG documents of the same forms: as seen, and in classes without blurred edges. */
  svg(size: number): { picture: string; mask: string } {
    const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIDE} ${SIDE}" width="${size}" height="${size}"`;
    const ground = `<rect width="${SIDE}" height="${SIDE}" fill="${this.colours[0]}"/>`;
    return {
      picture: `${open}><defs>${this.defs.join('')}</defs>${this.picture.join('')}</svg>`,
      mask: `${open} shape-rendering="crispEdges">${ground}${this.mask.join('')}</svg>`,
    };
  }
}
