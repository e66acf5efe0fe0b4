/** Things to be cut out, drawn: fruit, fish, mugs, stars, mushrooms, flowers, formless ones and piles of them. */
import {
  blob,
  box,
  type Canvas,
  circle,
  closedCurve,
  type Dice,
  hsl,
  type Outline,
  type Point,
  polygon,
} from './canvas.js';

/** A form around the origin with radius about 1, as a point of the scene. */
export interface Place {
  readonly centre: Point;
  readonly r: number;
  readonly turn: number;
}

/** A colour: hue in degrees, saturation and lightness in per cent. */
export interface Tone {
  readonly hue: number;
  readonly saturation: number;
  readonly light: number;
}

const VIVID = { saturation: [50, 95], light: [35, 65] } as const;
const PALE = { saturation: [0, 60], light: [78, 99] } as const;
const DARK = { saturation: [0, 50], light: [3, 24] } as const;
const DULL = { saturation: [0, 30], light: [25, 75] } as const;

/** Any colour that things have. */
export function tone(dice: Dice): Tone {
  const { saturation, light } = dice.pick([VIVID, VIVID, VIVID, PALE, DARK, DULL]);
  const [s0, s1] = saturation;
  const [l0, l1] = light;
  return { hue: dice.between(0, 360), saturation: dice.between(s0, s1), light: dice.between(l0, l1) };
}

/** Draws a thing, all of it in class 1. */
export type Form = (canvas: Canvas, dice: Dice, place: Place, main: Tone, line?: Outline) => void;

export const on = ({ centre, r, turn }: Place, x: number, y: number): Point => [
  centre[0] + r * (x * Math.cos(turn) - y * Math.sin(turn)),
  centre[1] + r * (x * Math.sin(turn) + y * Math.cos(turn)),
];
export const curve = (place: Place, points: readonly Point[]) =>
  closedCurve(points.map(([x, y]) => on(place, x, y)));
export const corners = (place: Place, points: readonly Point[]) =>
  polygon(points.map(([x, y]) => on(place, x, y)));

export const flat = ({ hue, saturation, light }: Tone, lighter = 0): string =>
  hsl(hue, saturation, light + lighter);
export const shaded = (canvas: Canvas, of: Tone): string =>
  canvas.gradient(flat(of, 12), flat({ ...of, hue: of.hue + 10 }, -10));

const fruit: Form = (canvas, dice, place, main, line) => {
  canvas.fill(1, box(on(place, 0, -0.95), place.r * 0.12, place.r * 0.5, 10), '#5b3a1c', line);
  const points: Point[] = [
    ...([
      [0, -0.7],
      [0.65, -0.8],
      [0.95, -0.1],
      [0.6, 0.75],
    ] as const),
    ...([
      [0, 0.85],
      [-0.6, 0.75],
      [-0.95, -0.1],
      [-0.65, -0.8],
    ] as const),
  ];
  canvas.fill(1, curve(place, points), shaded(canvas, main), line);
  const leaf: Point[] = [
    [0.05, -0.9],
    [0.4, -1.25],
    [0.75, -1.05],
    [0.4, -0.8],
  ];
  if (dice.chance(0.6)) canvas.fill(1, curve(place, leaf), 'hsl(110,50%,38%)', line);
  canvas.decorate(blob(dice, on(place, -0.4, -0.35), place.r * 0.16, 0.1), 'fill="#fff" opacity="0.6"');
};

const fish: Form = (canvas, dice, place, main, line) => {
  const tail: Point[] = [
    [-0.6, 0],
    [-1.15, -0.5],
    [-1, 0],
    [-1.15, 0.5],
  ];
  const body: Point[] = [
    [0.95, 0],
    [0.4, -0.52],
    [-0.3, -0.45],
    [-0.75, 0],
    [-0.3, 0.45],
    [0.4, 0.52],
  ];
  canvas.fill(1, corners(place, tail), flat(dice.chance(0.5) ? tone(dice) : main), line);
  canvas.fill(1, curve(place, body), shaded(canvas, main), line);
  eye(canvas, place, 0.55, -0.12, 0.1);
};

const mug: Form = (canvas, dice, place, main, line) => {
  const [a, b, c, d] = (
    [
      [0.5, -0.4],
      [1.2, -0.5],
      [1.2, 0.5],
      [0.5, 0.4],
    ] as const
  ).map(([x, y]) => on(place, x, y).join(' '));
  canvas.stroke(1, `M${a}C${b} ${c} ${d}`, place.r * 0.2, flat(main, -6));
  const body: Point[] = [
    [-0.65, -0.8],
    [0.65, -0.8],
    [0.55, 0.85],
    [-0.55, 0.85],
  ];
  canvas.fill(1, corners(place, body), shaded(canvas, main), line);
  const band: Point[] = [
    [-0.62, -0.35],
    [0.62, -0.35],
    [0.6, -0.1],
    [-0.6, -0.1],
  ];
  canvas.decorate(corners(place, band), `fill="${flat(tone(dice))}" opacity="0.7"`);
};

const star: Form = (canvas, dice, place, main, line) => {
  const n = dice.whole(5, 7);
  const points = Array.from({ length: 2 * n }, (_, i): Point => {
    const radius = i % 2 === 0 ? 1.05 : 0.5;
    return [radius * Math.sin((Math.PI * i) / n), -radius * Math.cos((Math.PI * i) / n)];
  });
  canvas.fill(1, corners(place, points), shaded(canvas, main), line);
};

const mushroom: Form = (canvas, dice, place, main, line) => {
  const stem: Point[] = [
    [-0.25, -0.1],
    [0.25, -0.1],
    [0.32, 0.8],
    [0, 0.92],
    [-0.32, 0.8],
  ];
  const cap: Point[] = [
    [-1, 0.05],
    [-0.7, -0.6],
    [0, -0.95],
    [0.7, -0.6],
    [1, 0.05],
    [0, 0.18],
  ];
  canvas.fill(1, curve(place, stem), dice.chance(0.5) ? '#efe3cb' : flat(tone(dice)), line);
  canvas.fill(1, curve(place, cap), shaded(canvas, main), line);
  for (const [x, y] of [
    [-0.45, -0.35],
    [0.05, -0.6],
    [0.45, -0.25],
  ] as const)
    canvas.decorate(blob(dice, on(place, x, y), place.r * 0.13, 0.1), 'fill="#fff" opacity="0.85"');
};

const flower: Form = (canvas, dice, place, main, line) => {
  const n = dice.whole(5, 8);
  for (let i = 0; i < n; i++) {
    const angle = (2 * Math.PI * i) / n;
    const centre = on(place, 0.6 * Math.cos(angle), 0.6 * Math.sin(angle));
    canvas.fill(1, circle(centre, place.r * 0.4), flat(main), line);
  }
  canvas.fill(1, circle(on(place, 0, 0), place.r * 0.36), flat(tone(dice)), line);
};

const formless: Form = (canvas, dice, place, main, line) => {
  const d = blob(dice, place.centre, place.r, 0.25, dice.between(0.6, 1));
  canvas.fill(1, d, shaded(canvas, main), line);
  for (let i = dice.whole(0, 4); i > 0; i--) {
    const spot = on(place, dice.between(-0.3, 0.3), dice.between(-0.3, 0.3));
    const paint = `fill="${flat(tone(dice))}" opacity="0.8"`;
    canvas.decorate(blob(dice, spot, place.r * dice.between(0.1, 0.22), 0.2), paint);
  }
};

/** A few forms over each other, each in a colour of its own. */
const pile: Form = (canvas, dice, place, main, line) => {
  for (let i = 0, n = dice.whole(2, 4); i < n; i++) {
    const paint = shaded(canvas, i === 0 ? main : tone(dice));
    const spot = on(place, dice.between(-0.4, 0.4), dice.between(-0.4, 0.4));
    const r = place.r * dice.between(0.4, 0.62);
    const [w, h] = [r * dice.between(0.8, 2), r * dice.between(0.8, 2)];
    const d = dice.pick([circle(spot, r), box(spot, w, h, dice.between(0, 90)), blob(dice, spot, r, 0.2)]);
    canvas.fill(1, d, paint, line);
  }
};

export function eye(canvas: Canvas, place: Place, x: number, y: number, size: number): void {
  const white = 'fill="#fff" stroke="#111" stroke-width="0.5"';
  canvas.decorate(circle(on(place, x, y), place.r * size), white);
  canvas.decorate(circle(on(place, x + 0.02, y), place.r * size * 0.5), 'fill="#111"');
}

export const THINGS: readonly Form[] = [...[fruit, fish, mug, star, mushroom, flower, formless, pile, pile]];
