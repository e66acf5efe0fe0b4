/** Drawn things on textures, to be cut out: fruit, fish, mugs, stars, mushrooms, flowers and formless ones. */
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
import type { RenderedKind } from './scene.js';

/** A form around the origin with radius about 1, as a point of the scene. */
interface Place {
  readonly centre: Point;
  readonly r: number;
  readonly turn: number;
}

const on = ({ centre, r, turn }: Place, x: number, y: number): Point => [
  centre[0] + r * (x * Math.cos(turn) - y * Math.sin(turn)),
  centre[1] + r * (x * Math.sin(turn) + y * Math.cos(turn)),
];
const curve = (place: Place, points: readonly Point[]) =>
  closedCurve(points.map(([x, y]) => on(place, x, y)));
const corners = (place: Place, points: readonly Point[]) => polygon(points.map(([x, y]) => on(place, x, y)));

type Sprite = (canvas: Canvas, dice: Dice, place: Place, hue: number, line?: Outline) => void;

const shaded = (canvas: Canvas, hue: number, light: number): string =>
  canvas.gradient(hsl(hue, 70, light + 14), hsl(hue + 10, 65, light - 8));

const fruit: Sprite = (canvas, dice, place, hue, line) => {
  canvas.fill(1, box(on(place, 0, -0.95), place.r * 0.12, place.r * 0.5, 10), '#5b3a1c', line);
  canvas.fill(
    1,
    curve(place, [
      [0, -0.7],
      [0.65, -0.8],
      [0.95, -0.1],
      [0.6, 0.75],
      [0, 0.85],
      [-0.6, 0.75],
      [-0.95, -0.1],
      [-0.65, -0.8],
    ]),
    shaded(canvas, hue, 48),
    line,
  );
  if (dice.chance(0.6))
    canvas.fill(
      1,
      curve(place, [
        [0.05, -0.9],
        [0.4, -1.25],
        [0.75, -1.05],
        [0.4, -0.8],
      ]),
      'hsl(110,50%,38%)',
      line,
    );
  canvas.decorate(blob(dice, on(place, -0.4, -0.35), place.r * 0.16, 0.1), 'fill="#fff" opacity="0.6"');
};

const fish: Sprite = (canvas, _dice, place, hue, line) => {
  canvas.fill(
    1,
    corners(place, [
      [-0.6, 0],
      [-1.15, -0.5],
      [-1, 0],
      [-1.15, 0.5],
    ]),
    hsl(hue + 25, 70, 45),
    line,
  );
  canvas.fill(
    1,
    curve(place, [
      [0.95, 0],
      [0.4, -0.52],
      [-0.3, -0.45],
      [-0.75, 0],
      [-0.3, 0.45],
      [0.4, 0.52],
    ]),
    shaded(canvas, hue, 52),
    line,
  );
  canvas.decorate(
    circle(on(place, 0.55, -0.12), place.r * 0.1),
    'fill="#fff" stroke="#111" stroke-width="0.5"',
  );
  canvas.decorate(circle(on(place, 0.58, -0.12), place.r * 0.045), 'fill="#111"');
};

const mug: Sprite = (canvas, _dice, place, hue, line) => {
  const handle = `M${on(place, 0.5, -0.4).join(' ')}C${on(place, 1.2, -0.5).join(' ')} ${on(place, 1.2, 0.5).join(' ')} ${on(place, 0.5, 0.4).join(' ')}`;
  canvas.stroke(1, handle, place.r * 0.2, hsl(hue, 60, 42));
  canvas.fill(
    1,
    corners(place, [
      [-0.65, -0.8],
      [0.65, -0.8],
      [0.55, 0.85],
      [-0.55, 0.85],
    ]),
    shaded(canvas, hue, 50),
    line,
  );
  canvas.decorate(
    corners(place, [
      [-0.62, -0.35],
      [0.62, -0.35],
      [0.6, -0.1],
      [-0.6, -0.1],
    ]),
    'fill="#fff" opacity="0.5"',
  );
};

const star: Sprite = (canvas, dice, place, hue, line) => {
  const n = dice.whole(5, 7);
  const points = Array.from({ length: 2 * n }, (_, i): Point => {
    const radius = i % 2 === 0 ? 1.05 : 0.5;
    return [radius * Math.sin((Math.PI * i) / n), -radius * Math.cos((Math.PI * i) / n)];
  });
  canvas.fill(1, corners(place, points), shaded(canvas, hue, 52), line);
};

const mushroom: Sprite = (canvas, dice, place, hue, line) => {
  canvas.fill(
    1,
    curve(place, [
      [-0.25, -0.1],
      [0.25, -0.1],
      [0.32, 0.8],
      [0, 0.92],
      [-0.32, 0.8],
    ]),
    '#efe3cb',
    line,
  );
  canvas.fill(
    1,
    curve(place, [
      [-1, 0.05],
      [-0.7, -0.6],
      [0, -0.95],
      [0.7, -0.6],
      [1, 0.05],
      [0, 0.18],
    ]),
    shaded(canvas, hue, 46),
    line,
  );
  for (const [x, y] of [
    [-0.45, -0.35],
    [0.05, -0.6],
    [0.45, -0.25],
  ] as const)
    canvas.decorate(blob(dice, on(place, x, y), place.r * 0.13, 0.1), 'fill="#fff" opacity="0.85"');
};

const flower: Sprite = (canvas, dice, place, hue, line) => {
  const n = dice.whole(5, 8);
  for (let i = 0; i < n; i++) {
    const angle = (2 * Math.PI * i) / n;
    canvas.fill(
      1,
      circle(on(place, 0.6 * Math.cos(angle), 0.6 * Math.sin(angle)), place.r * 0.4),
      hsl(hue, 65, 58),
      line,
    );
  }
  canvas.fill(1, circle(on(place, 0, 0), place.r * 0.36), hsl(hue + 160, 75, 52), line);
};

const formless: Sprite = (canvas, dice, place, hue, line) => {
  canvas.fill(
    1,
    blob(dice, place.centre, place.r, 0.25, dice.between(0.6, 1)),
    shaded(canvas, hue, dice.between(30, 65)),
    line,
  );
  for (let i = dice.whole(1, 4); i > 0; i--)
    canvas.decorate(
      blob(
        dice,
        on(place, dice.between(-0.3, 0.3), dice.between(-0.3, 0.3)),
        place.r * dice.between(0.1, 0.22),
        0.2,
      ),
      `fill="${hsl(hue + 180, 60, 60)}" opacity="0.7"`,
    );
};

const SPRITES = [fruit, fish, mug, star, mushroom, flower, formless];

/** A ground of its own colours, some with stripes or tiles. */
function texture(canvas: Canvas, dice: Dice): { texture: number; stretch: number; clouds: number } {
  const base = dice.colour([0, 360], [5, 55], [25, 82]);
  canvas.decorate('M0 0H100V100H0Z', `fill="${base}"`);
  const second = dice.colour([0, 360], [5, 45], [25, 82]);
  const step = dice.between(7, 18);
  const kind = dice.whole(0, 3);
  for (let at = -100; kind < 2 && at < 200; at += step) {
    const lean = kind === 0 ? 0 : 60;
    canvas.decorate(
      `M${at} 0L${at + step / 2} 0L${at + step / 2 + lean} 100L${at + lean} 100Z`,
      `fill="${second}" opacity="0.5"`,
    );
  }
  for (let i = kind === 2 ? 30 : 0; i > 0; i--) {
    const spot: Point = [dice.between(0, 100), dice.between(0, 100)];
    canvas.decorate(blob(dice, spot, dice.between(1, 5), 0.3), `fill="${second}" opacity="0.6"`);
  }
  return { texture: dice.between(8, 45), stretch: dice.pick([1, 1, 4]), clouds: dice.between(5, 25) };
}

export const sprites: RenderedKind = {
  summary: 'drawn things on textures, to be cut out',
  family: 'art',
  classes: [
    { name: 'background', mask: '#000000' },
    { name: 'object', mask: '#ffffff' },
  ],
  defaultCount: 800,
  draw(canvas, dice) {
    const ground = texture(canvas, dice);
    const number = dice.chance(0.7) ? 1 : 2;
    for (let i = 0; i < number; i++) {
      const r = number === 1 ? dice.between(18, 36) : dice.between(12, 20);
      const x = number === 1 ? dice.between(36, 64) : i === 0 ? dice.between(22, 32) : dice.between(68, 78);
      const place = { centre: [x, dice.between(36, 64)] as Point, r, turn: dice.between(-0.6, 0.6) };
      const outlined = dice.chance(0.6);
      const line = outlined ? { colour: dice.pick(['#111', '#222a44', '#3a1c10']), width: 1 } : undefined;
      dice.pick(SPRITES)(canvas, dice, place, dice.between(0, 360), line);
    }
    const finish = {
      grain: dice.between(1, 5),
      texture: [ground.texture, 3],
      clouds: ground.clouds,
      stretch: ground.stretch,
      light: 8,
      blur: 0,
    };
    return { objects: number, finish };
  },
};
