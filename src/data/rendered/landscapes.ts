/** Landscapes: sky, hills, water and trees. */
import { blob, box, type Dice, type Point, polygon } from './canvas.js';
import type { RenderedKind } from './scene.js';

/** A line of hills from left to right, closed below. */
function ridge(dice: Dice, height: number, rough: number): string {
  const [p1, p2] = [dice.between(0, 7), dice.between(0, 7)];
  const [f1, f2] = [dice.between(0.04, 0.08), dice.between(0.1, 0.18)];
  const points = Array.from({ length: 41 }, (_, i): Point => {
    const x = i * 2.5;
    return [x, height - rough * (Math.sin(x * f1 + p1) + 0.4 * Math.sin(x * f2 + p2))];
  });
  return polygon([[0, 101], ...points, [100, 101]]);
}

export const landscapes: RenderedKind = {
  summary: 'landscapes: sky, hills, water, trees',
  family: 'natural',
  classes: [
    { name: 'sky', mask: '#000000', colour: '#87b5e8' },
    { name: 'hills', mask: '#a0522d', colour: '#ff9500' },
    { name: 'water', mask: '#0000ff', colour: '#2f7bff' },
    { name: 'tree', mask: '#00ff00', colour: '#34c759' },
  ],
  defaultCount: 240,
  draw(canvas, dice) {
    const evening = dice.chance(0.35);
    const hue = evening ? dice.between(15, 45) : dice.between(195, 220);
    const sky = canvas.gradient(
      `hsl(${evening ? 220 : hue},45%,${evening ? 45 : 62}%)`,
      `hsl(${hue},70%,84%)`,
    );
    canvas.decorate('M0 0H100V100H0Z', `fill="${sky}"`);
    if (dice.chance(0.5)) {
      const sun: Point = [dice.between(10, 90), dice.between(8, 30)];
      canvas.decorate(blob(dice, sun, dice.between(3, 6), 0), 'fill="#fff3c0"');
    }
    for (let i = dice.whole(0, 4); i > 0; i--) {
      const cloud: Point = [dice.between(0, 100), dice.between(5, 30)];
      canvas.decorate(blob(dice, cloud, dice.between(4, 9), 0.25, 0.45, 0), 'fill="#fff" opacity="0.75"');
    }
    const horizon = dice.between(42, 58);
    const ground = dice.between(90, 140);
    canvas.fill(1, ridge(dice, horizon, dice.between(4, 9)), dice.colour([190, 250], [12, 28], [42, 58]));
    canvas.fill(1, ridge(dice, horizon + dice.between(8, 13), dice.between(2, 5)), hsl(ground, dice));
    const shore = dice.between(72, 86);
    const water = canvas.gradient(
      `hsl(${evening ? 25 : 205},45%,${dice.between(50, 62)}%)`,
      `hsl(212,50%,32%)`,
    );
    if (dice.chance(0.8)) {
      canvas.fill(2, ridge(dice, shore, 1.2), water);
      for (let i = dice.whole(3, 9); i > 0; i--) {
        const wave: Point = [dice.between(5, 95), dice.between(shore + 4, 98)];
        canvas.decorate(box(wave, dice.between(5, 14), 0.6), 'fill="#fff" opacity="0.35"');
      }
    }
    const trees = dice.whole(1, 5);
    for (let i = 0; i < trees; i++) {
      const foot: Point = [dice.between(6, 94), dice.between(Math.min(shore - 6, 68), shore - 1)];
      const tall = dice.between(13, 24);
      canvas.fill(
        3,
        box([foot[0], foot[1] - tall * 0.2], tall * 0.13, tall * 0.45),
        dice.colour([20, 35], [30, 45], [20, 32]),
      );
      const crown = dice.colour([90, 150], [35, 60], [16, 34]);
      if (dice.chance(0.5)) {
        const half = tall * 0.33;
        canvas.fill(
          3,
          polygon([
            [foot[0] - half, foot[1] - tall * 0.25],
            [foot[0], foot[1] - tall],
            [foot[0] + half, foot[1] - tall * 0.25],
          ]),
          crown,
        );
      } else canvas.fill(3, blob(dice, [foot[0], foot[1] - tall * 0.65], tall * 0.34, 0.14), crown);
    }
    const finish = {
      grain: 4,
      texture: [4, 14, 6, 16],
      clouds: 8,
      stretch: 1.5,
      light: 6,
      blur: dice.between(0, 0.5),
    };
    return { objects: trees, finish };
  },
};

const hsl = (hue: number, dice: Dice): string =>
  `hsl(${hue},${dice.between(25, 45)}%,${dice.between(30, 44)}%)`;
