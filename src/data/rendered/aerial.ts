/** Land from above: roads and buildings between fields and trees. */
import { arc, blob, box, type Canvas, circle, type Dice, type Point, polygon } from './canvas.js';
import type { RenderedKind } from './scene.js';

interface Road {
  readonly points: readonly Point[];
  readonly width: number;
}

/** A curve across the whole picture. @returns it as points too, to keep off it */
function road(canvas: Canvas, dice: Dice, upright: boolean): Road {
  const turn = ([x, y]: Point): Point => (upright ? [y, x] : [x, y]);
  const at = dice.between(15, 85);
  const a = turn([-5, at]);
  const b = turn([105, Math.max(5, Math.min(95, at + dice.between(-35, 35)))]);
  const middle: Point = [(a[0] + b[0]) / 2 + dice.between(-8, 8), (a[1] + b[1]) / 2 + dice.between(-8, 8)];
  const width = dice.between(5.5, 8.5);
  const grey = dice.colour([200, 240], [0, 8], [44, 62]);
  const d = arc(a, middle, b);
  canvas.stroke(1, d, width, grey);
  if (dice.chance(0.6))
    canvas.decorate(d, `fill="none" stroke="#eee" stroke-width="0.6" stroke-dasharray="3 3" opacity="0.8"`);
  const points = Array.from({ length: 41 }, (_, i): Point => {
    const t = i / 40;
    const bend = (k: 0 | 1) => 2 * middle[k] - (a[k] + b[k]) / 2;
    const on = (k: 0 | 1) => (1 - t) ** 2 * a[k] + 2 * t * (1 - t) * bend(k) + t * t * b[k];
    return [on(0), on(1)];
  });
  return { points, width };
}

function fields(canvas: Canvas, dice: Dice): void {
  canvas.decorate('M0 0H100V100H0Z', `fill="${dice.colour([70, 110], [25, 45], [32, 46])}"`);
  for (let i = dice.whole(2, 5); i > 0; i--) {
    const where: Point = [dice.between(0, 100), dice.between(0, 100)];
    const paint = dice.colour([40, 120], [20, 45], [32, 58]);
    const d = box(where, dice.between(25, 60), dice.between(25, 60), dice.between(-40, 40));
    canvas.decorate(d, `fill="${paint}"`);
  }
}

function roof(dice: Dice): string {
  const hue = dice.pick([8, 15, 25, 210, 220]);
  const [saturation, light] =
    hue > 100 ? [8, dice.between(55, 80)] : [dice.between(35, 55), dice.between(38, 55)];
  return `hsl(${hue},${saturation}%,${light}%)`;
}

function building(canvas: Canvas, paint: string, centre: Point, w: number, h: number, turn: number): void {
  const shadow: Point = [centre[0] + 1.2, centre[1] + 1.4];
  canvas.decorate(box(shadow, w, h, turn), 'fill="#000" opacity="0.35"');
  canvas.fill(2, box(centre, w, h, turn), paint);
  const angle = (turn * Math.PI) / 180;
  const half: Point = [(Math.cos(angle) * w) / 2, (Math.sin(angle) * w) / 2];
  const down: Point = [(-Math.sin(angle) * h) / 4, (Math.cos(angle) * h) / 4];
  // The side of the roof away from the light.
  const corner = (s: number, t: number): Point => [
    centre[0] + s * half[0] + t * down[0],
    centre[1] + s * half[1] + t * down[1],
  ];
  canvas.decorate(
    polygon([corner(-1, 0), corner(1, 0), corner(1, 2), corner(-1, 2)]),
    'fill="#000" opacity="0.18"',
  );
}

export const aerial: RenderedKind = {
  summary: 'land from above: roads and buildings',
  family: 'satellite',
  classes: [
    { name: 'background', mask: '#000000' },
    { name: 'road', mask: '#808080', colour: '#ffcc00' },
    { name: 'building', mask: '#ff0000', colour: '#ff3b30' },
  ],
  defaultCount: 240,
  /** Later frames, which a data set has none of, show the same place with a building less each. */
  draw(canvas, dice, frame) {
    fields(canvas, dice);
    const first = dice.chance(0.5);
    const roads = Array.from({ length: dice.whole(1, 2) }, (_, i) => road(canvas, dice, first !== (i === 1)));
    const taken: { centre: Point; r: number }[] = [];
    const wanted = dice.whole(3, 9);
    for (let tries = 0; tries < 200 && taken.length < wanted; tries++) {
      const [w, h] = [dice.between(8, 16), dice.between(7, 13)];
      const r = Math.hypot(w, h) / 2;
      const centre: Point = [dice.between(2, 98), dice.between(2, 98)];
      const off = (p: Point) => Math.hypot(p[0] - centre[0], p[1] - centre[1]);
      if (roads.some((o) => o.points.some((p) => off(p) < o.width / 2 + r + 1))) continue;
      if (taken.some((o) => off(o.centre) < o.r + r + 1)) continue;
      const [turn, paint] = [dice.between(-30, 30), roof(dice)];
      if (taken.length >= frame) building(canvas, paint, centre, w, h, turn);
      taken.push({ centre, r });
    }
    for (let i = dice.whole(3, 14); i > 0; i--) {
      const spot: Point = [dice.between(0, 100), dice.between(0, 100)];
      const r = dice.between(1.5, 3.2);
      const off = (p: Point) => Math.hypot(p[0] - spot[0], p[1] - spot[1]);
      // Trees stand beside roads and houses, not on them.
      if (roads.some((o) => o.points.some((p) => off(p) < o.width / 2 + r))) continue;
      if (taken.some((o) => off(o.centre) < o.r + r)) continue;
      canvas.decorate(circle([spot[0] + 0.7, spot[1] + 0.8], r), 'fill="#000" opacity="0.3"');
      canvas.decorate(blob(dice, spot, r, 0.15), `fill="${dice.colour([95, 135], [30, 50], [18, 30])}"`);
    }
    const finish = {
      grain: 4,
      texture: [16, 6, 5],
      clouds: 12,
      stretch: 1,
      light: 8,
      blur: dice.between(0, 0.6),
    };
    return { objects: Math.max(0, taken.length - frame), finish };
  },
};
