/** Figures to be cut out, drawn: smileys, heads, animals, pixel figures. */
import { box, type Canvas, circle, type Dice, type Point } from './canvas.js';
import { corners, curve, eye, type Form, flat, on, type Place, shaded, tone } from './forms.js';

/** An ellipse around a point of the form. */
const oval = (place: Place, x: number, y: number, across: number, down: number) =>
  curve(
    place,
    Array.from({ length: 8 }, (_, i): Point => {
      const angle = (i * Math.PI) / 4;
      return [x + across * Math.cos(angle), y + down * Math.sin(angle)];
    }),
  );

/** Eyes and a mouth around the middle of a face of a given width. */
function features(canvas: Canvas, dice: Dice, place: Place, y: number, width: number): void {
  const dots = dice.chance(0.5);
  for (const side of [-1, 1]) {
    if (dots) canvas.decorate(circle(on(place, side * width * 0.4, y), place.r * 0.07), 'fill="#151515"');
    else eye(canvas, place, side * width * 0.4, y, dice.between(0.1, 0.16));
  }
  const [low, bend] = [y + width * 0.55, dice.between(-0.15, 0.3)];
  const [a, b, c] = [on(place, -width * 0.35, low), on(place, 0, low + bend), on(place, width * 0.35, low)];
  const lips = dice.chance(0.3) ? `fill="${flat(tone(dice))}"` : 'fill="none"';
  canvas.decorate(
    `M${a.join(' ')}Q${b.join(' ')} ${c.join(' ')}`,
    `${lips} stroke="#2a1512" stroke-width="0.9"`,
  );
}

const smiley: Form = (canvas, dice, place, main, line) => {
  const yellow = { hue: 46, saturation: 95, light: 58 };
  canvas.fill(1, circle(place.centre, place.r), shaded(canvas, dice.chance(0.5) ? yellow : main), line);
  features(canvas, dice, place, -0.2, 0.8);
};

const SKIN = [
  [30, 75, 88],
  [28, 60, 78],
  [24, 50, 62],
  [22, 45, 42],
  [18, 40, 26],
  [0, 0, 98],
] as const;

/** A head with hair, with or without shoulders. */
const head: Form = (canvas, dice, place, main, line) => {
  const [hue, saturation, light] = dice.pick(SKIN);
  const skin = dice.chance(0.75) ? { hue, saturation, light } : tone(dice);
  const back: Point[] = [
    [-0.75, 0.5],
    [-0.8, -0.4],
    [0, -0.98],
    [0.8, -0.4],
    [0.75, 0.5],
    [0, 0.2],
  ];
  if (dice.chance(0.4)) canvas.fill(1, curve(place, back), flat(main, -3), line);
  const shoulders: Point[] = [
    [-0.9, 1.05],
    [-0.7, 0.62],
    [0, 0.45],
    [0.7, 0.62],
    [0.9, 1.05],
    [0, 1.1],
  ];
  if (dice.chance(0.6)) {
    canvas.fill(
      1,
      box(on(place, 0, 0.5), place.r * 0.4, place.r * 0.4, (place.turn * 180) / Math.PI),
      flat(skin, -6),
      line,
    );
    canvas.fill(1, curve(place, shoulders), flat(tone(dice)), line);
  }
  canvas.fill(1, oval(place, 0, -0.1, 0.6, 0.68), dice.chance(0.5) ? flat(skin) : shaded(canvas, skin), line);
  const fringe = dice.between(-0.55, -0.25);
  const hair: Point[] = [
    [-0.66, -0.05],
    [-0.6, -0.6],
    [0, dice.between(-1.1, -0.85)],
    [0.6, -0.6],
    [0.66, -0.05],
    [0.35, fringe],
    [-0.3, fringe],
  ];
  if (dice.chance(0.85)) canvas.fill(1, curve(place, hair), flat(main), line);
  features(canvas, dice, place, -0.1, 0.55);
};

/** An animal from the side: body, head, ears, legs, tail. */
const animal: Form = (canvas, dice, place, main, line) => {
  const other = dice.chance(0.5) ? main : tone(dice);
  const tail = [on(place, -0.6, 0.1), on(place, -1.1, dice.between(-0.7, 0.2))].map((p) => p.join(' '));
  canvas.stroke(1, `M${tail[0]}L${tail[1]}`, place.r * dice.between(0.1, 0.24), flat(other));
  for (const x of [-0.5, -0.25, 0.25, 0.5])
    canvas.fill(
      1,
      box(on(place, x, 0.7), place.r * 0.18, place.r * 0.6, (place.turn * 180) / Math.PI),
      flat(main, -8),
      line,
    );
  canvas.fill(1, oval(place, 0, 0.2, 0.75, dice.between(0.35, 0.5)), shaded(canvas, main), line);
  const [up, size] = [dice.between(-0.55, -0.2), dice.between(0.3, 0.42)];
  const round = dice.chance(0.5);
  for (const x of [0.4, 0.8]) {
    const pointed: Point[] = [
      [x - 0.14, up - size * 0.5],
      [x, up - size - dice.between(0.1, 0.4)],
      [x + 0.14, up - size * 0.5],
    ];
    canvas.fill(
      1,
      round ? circle(on(place, x, up - size * 0.8), place.r * 0.17) : corners(place, pointed),
      flat(other),
      line,
    );
  }
  canvas.fill(1, circle(on(place, 0.6, up), place.r * size), flat(main, 4), line);
  canvas.decorate(oval(place, 0.05, 0.35, 0.35, 0.2), `fill="${flat(tone(dice))}" opacity="0.7"`);
  features(canvas, dice, { ...place, centre: on(place, 0.6, up), r: place.r * size * 1.4 }, -0.15, 0.6);
};

/** An upright figure of large pixels, alike on both sides. */
const pixels: Form = (canvas, dice, place, main) => {
  const rows = dice.whole(8, 12);
  const side = (2 * place.r) / rows;
  const tones = [main, main, tone(dice), tone(dice)];
  let half = dice.whole(2, 3);
  for (let row = 0; row < rows; row++) {
    half = Math.max(1, Math.min(Math.floor(rows / 2), half + dice.whole(-1, 1)));
    let paint = dice.pick(tones);
    for (let column = 0; column < half; column++) {
      if (dice.chance(0.4)) paint = dice.pick(tones);
      for (const way of [-1, 1]) {
        const centre: Point = [
          place.centre[0] + way * (column + 0.5) * side,
          place.centre[1] + (row + 0.5 - rows / 2) * side,
        ];
        canvas.fill(1, box(centre, side * 1.04, side * 1.04), flat(paint));
      }
    }
  }
};

export const FIGURES: readonly Form[] = [smiley, head, head, animal, animal, pixels];
