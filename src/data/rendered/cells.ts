/** Cells under a microscope, as fluorescence (bright on dark) or stained (dark on light); some touch. */
import { blob, type Canvas, type Dice, type Point, SIDE } from './canvas.js';
import type { RenderedKind } from './scene.js';

const WALL = { fill: 0.16, squash: [0.75, 1] } as const;

/** Places discs that do not overlap; a fifth may touch its neighbour. */
function places(dice: Dice, wanted: number): { centre: Point; r: number }[] {
  const found: { centre: Point; r: number }[] = [];
  for (let tries = 0; tries < 40 * wanted && found.length < wanted; tries++) {
    const r = dice.between(4.2, 7.5);
    const centre: Point = [dice.between(r + 1, SIDE - r - 1), dice.between(r + 1, SIDE - r - 1)];
    const gap = dice.chance(0.2) ? -0.4 : 2.5;
    const free = found.every(
      (o) => Math.hypot(o.centre[0] - centre[0], o.centre[1] - centre[1]) > o.r + r + gap,
    );
    if (free) found.push({ centre, r });
  }
  return found;
}

function cell(canvas: Canvas, dice: Dice, centre: Point, r: number, hue: number, bright: boolean): void {
  const [inner, outer] = bright
    ? [dice.between(55, 75), dice.between(32, 45)]
    : [dice.between(50, 62), dice.between(58, 72)];
  const saturation = bright ? 65 : 40;
  const paint = canvas.gradient(
    `hsl(${hue},${saturation}%,${inner}%)`,
    `hsl(${hue},${saturation}%,${outer}%)`,
    'radial',
  );
  const rim = bright ? `hsl(${hue},60%,${outer - 8}%)` : `hsl(${hue},45%,42%)`;
  canvas.fill(1, blob(dice, centre, r, WALL.fill / 2, dice.between(...WALL.squash)), paint, {
    colour: rim,
    width: 0.5,
  });
  const nucleus: Point = [centre[0] + dice.between(-0.2, 0.2) * r, centre[1] + dice.between(-0.2, 0.2) * r];
  const dark = bright ? `hsl(${hue + 20},70%,${inner + 14}%)` : `hsl(${hue - 15},50%,30%)`;
  canvas.decorate(blob(dice, nucleus, r * dice.between(0.3, 0.42), 0.1), `fill="${dark}" opacity="0.8"`);
}

export const cells: RenderedKind = {
  summary: 'cells under a microscope, with their number',
  family: 'medical',
  classes: [
    { name: 'background', mask: '#000000' },
    { name: 'cell', mask: '#ffffff' },
  ],
  defaultCount: 200,
  counted: 'cell',
  draw(canvas, dice) {
    const bright = dice.chance(0.5);
    const ground = bright
      ? dice.colour([190, 260], [20, 50], [5, 12])
      : dice.colour([300, 350], [15, 35], [84, 92]);
    canvas.decorate('M0 0H100V100H0Z', `fill="${ground}"`);
    for (let i = dice.whole(0, 12); i > 0; i--) {
      // Debris: far smaller than cells, and none.
      const spot: Point = [dice.between(0, SIDE), dice.between(0, SIDE)];
      const paint = bright ? 'hsl(200,30%,25%)' : 'hsl(320,25%,72%)';
      canvas.decorate(blob(dice, spot, dice.between(0.4, 0.9), 0.3), `fill="${paint}"`);
    }
    const hue = bright ? dice.pick([120, 140, 210, 280]) : dice.between(260, 320);
    const found = places(dice, dice.whole(6, 22));
    for (const { centre, r } of found) cell(canvas, dice, centre, r, hue + dice.between(-10, 10), bright);
    const finish = {
      grain: dice.between(3, 8),
      texture: [10, 8],
      clouds: 18,
      stretch: 1,
      light: 14,
      blur: dice.between(0, 0.8),
    };
    return { objects: found.length, finish };
  },
};
