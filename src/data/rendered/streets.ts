/** A street seen from a car: road, vehicles and people. */
import { box, type Canvas, circle, type Dice, type Point, polygon } from './canvas.js';
import type { RenderedKind } from './scene.js';

function houses(canvas: Canvas, dice: Dice, horizon: number): void {
  for (let x = dice.between(-10, 0); x < 105; ) {
    const width = dice.between(10, 24);
    const height = dice.between(8, 30);
    const wall = dice.colour([0, 360], [5, 30], [35, 75]);
    canvas.decorate(box([x + width / 2, horizon + 2 - height / 2], width, height), `fill="${wall}"`);
    for (let wy = horizon - height + 5; wy < horizon - 3; wy += 6) {
      for (let wx = x + 2.5; wx < x + width - 2; wx += 5)
        canvas.decorate(box([wx, wy], 2.2, 3), `fill="#24303c" opacity="${dice.chance(0.8) ? 0.7 : 0.1}"`);
    }
    x += width + (dice.chance(0.3) ? dice.between(2, 10) : 0);
  }
}

/** A car from behind or before, standing at `foot`. */
function car(canvas: Canvas, dice: Dice, [x, y]: Point, width: number): void {
  const tall = width * dice.between(0.62, 0.9);
  const paint = dice.colour([0, 360], [15, 80], [25, 72]);
  canvas.decorate(box([x, y], width * 1.1, width * 0.12), 'fill="#000" opacity="0.4"');
  for (const side of [-1, 1])
    canvas.fill(2, box([x + side * width * 0.36, y - width * 0.09], width * 0.18, width * 0.2), '#15171a');
  canvas.fill(2, box([x, y - tall * 0.34], width, tall * 0.48), paint);
  const roof: Point[] = [
    [x - width * 0.44, y - tall * 0.57],
    [x - width * 0.32, y - tall],
    [x + width * 0.32, y - tall],
    [x + width * 0.44, y - tall * 0.57],
  ];
  canvas.fill(2, polygon(roof), paint);
  canvas.decorate(box([x, y - tall * 0.76], width * 0.58, tall * 0.26), 'fill="#26343f"');
  const lamp = dice.pick(['#d02020', '#fff6c8']);
  for (const side of [-1, 1])
    canvas.decorate(
      box([x + side * width * 0.38, y - tall * 0.4], width * 0.14, tall * 0.1),
      `fill="${lamp}"`,
    );
}

function person(canvas: Canvas, dice: Dice, [x, y]: Point, tall: number): void {
  const coat = dice.colour([0, 360], [30, 80], [25, 65]);
  const trousers = dice.colour([200, 260], [10, 50], [15, 40]);
  for (const side of [-1, 1])
    canvas.fill(3, box([x + side * tall * 0.075, y - tall * 0.22], tall * 0.12, tall * 0.46), trousers);
  canvas.fill(3, box([x, y - tall * 0.6], tall * 0.34, tall * 0.42), coat);
  canvas.fill(3, circle([x, y - tall * 0.9], tall * 0.12), dice.colour([18, 32], [30, 50], [35, 75]));
}

export const streets: RenderedKind = {
  summary: 'streets from a car: road, vehicles, people',
  family: 'driving',
  classes: [
    { name: 'background', mask: '#000000' },
    { name: 'road', mask: '#804080', colour: '#af52de' },
    { name: 'vehicle', mask: '#00008e', colour: '#2f7bff' },
    { name: 'person', mask: '#dc143c', colour: '#ff3b30' },
  ],
  defaultCount: 240,
  draw(canvas, dice) {
    const horizon = dice.between(36, 46);
    const sky = canvas.gradient(
      `hsl(210,${dice.between(15, 55)}%,${dice.between(50, 72)}%)`,
      'hsl(210,30%,86%)',
    );
    canvas.decorate('M0 0H100V100H0Z', `fill="${sky}"`);
    houses(canvas, dice, horizon);
    const verge = dice.pick([
      dice.colour([80, 120], [20, 40], [30, 45]),
      dice.colour([30, 50], [5, 12], [58, 70]),
    ]);
    canvas.decorate(`M0 ${horizon}H100V100H0Z`, `fill="${verge}"`);
    const vanish = dice.between(38, 62);
    const [left, right] = [dice.between(-30, 5), dice.between(95, 130)];
    const grey = dice.between(28, 44);
    /** A point of the road: 0…1 from its left to its right edge, 0…1 from the horizon to the lower edge. */
    const on = (across: number, near: number): Point => [
      vanish - 4 + across * 8 + near * (left + across * (right - left) - (vanish - 4 + across * 8)),
      horizon + near * (100 - horizon),
    ];
    canvas.fill(1, polygon([on(0, 0), on(1, 0), on(1, 1.02), on(0, 1.02)]), `hsl(220,5%,${grey}%)`);
    for (let near = 0.06; near < 1; near *= 1.55)
      canvas.decorate(
        polygon([on(0.49, near), on(0.51, near), on(0.51, near * 1.25), on(0.49, near * 1.25)]),
        'fill="#e8e8e0"',
      );
    // From far to near, so that what is near covers what is far.
    const things = Array.from({ length: dice.whole(2, 5) }, () => dice.between(0.25, 0.85)).sort(
      (a, b) => a - b,
    );
    const spots: Point[] = [];
    for (const near of things) {
      const foot = dice.chance(0.6);
      const across = foot
        ? dice.pick([dice.between(0.12, 0.4), dice.between(0.6, 0.88)])
        : dice.pick([-0.04, 1.04]);
      const spot = on(across, near);
      if (spot[0] < 8 || spot[0] > 92 || spots.some((o) => Math.abs(o[0] - spot[0]) < 12)) continue;
      spots.push(spot);
      if (foot) car(canvas, dice, spot, 9 + near * 20);
      else person(canvas, dice, spot, 14 + near * 20);
    }
    const finish = {
      grain: 4,
      texture: [5, 7, 3],
      clouds: 7,
      stretch: 1,
      light: 12,
      blur: dice.between(0, 0.6),
    };
    return { objects: spots.length, finish };
  },
};
