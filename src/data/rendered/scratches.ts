/** Scratches on brushed metal, wood and plastic; stains and dust are none. */
import { arc, blob, type Point } from './canvas.js';
import type { RenderedKind } from './scene.js';

export const scratches: RenderedKind = {
  summary: 'scratches on textured surfaces',
  family: 'industry',
  classes: [
    { name: 'background', mask: '#000000' },
    { name: 'scratch', mask: '#ffffff' },
  ],
  defaultCount: 240,
  draw(canvas, dice) {
    const surface = dice.pick(['metal', 'wood', 'plastic'] as const);
    const light = dice.between(40, 66);
    const ground = {
      metal: `hsl(${dice.between(200, 230)},6%,${light}%)`,
      wood: `hsl(${dice.between(22, 36)},45%,${light - 8}%)`,
      plastic: dice.colour([0, 360], [20, 60], [35, 60]),
    }[surface];
    canvas.decorate('M0 0H100V100H0Z', `fill="${ground}"`);
    for (let i = dice.whole(0, 4); i > 0; i--) {
      const spot: Point = [dice.between(0, 100), dice.between(0, 100)];
      const stain = `fill="${dice.pick(['#000', '#fff'])}" opacity="${dice.between(0.08, 0.18).toFixed(2)}"`;
      canvas.decorate(blob(dice, spot, dice.between(4, 14), 0.3, 0.7), stain);
    }
    for (let i = dice.whole(0, 8); i > 0; i--) {
      const dust: Point = [dice.between(0, 100), dice.between(0, 100)];
      canvas.decorate(blob(dice, dust, dice.between(0.5, 1.2), 0.3), 'fill="#222" opacity="0.6"');
    }
    const number = dice.whole(1, 4);
    for (let i = 0; i < number; i++) {
      const angle = dice.between(0, Math.PI);
      const half = dice.between(9, 28);
      const middle: Point = [dice.between(18, 82), dice.between(18, 82)];
      const end = (side: number): Point => [
        middle[0] + side * half * Math.cos(angle),
        middle[1] + side * half * Math.sin(angle),
      ];
      const bow: Point = [middle[0] + dice.between(-4, 4), middle[1] + dice.between(-4, 4)];
      const paint = dice.chance(0.5) ? '#f2f2ee' : '#161616';
      const width = dice.between(2.4, 4);
      canvas.stroke(
        1,
        arc(end(-1), bow, end(1)),
        width,
        paint,
        `opacity="${dice.between(0.75, 0.95).toFixed(2)}"`,
      );
    }
    const stretch = { metal: 8, wood: 5, plastic: 1 }[surface];
    const texture = { metal: 18, wood: 30, plastic: 8 }[surface];
    return {
      objects: number,
      finish: {
        grain: 5,
        texture: [texture, texture / 3],
        clouds: 4,
        stretch,
        light: 18,
        blur: dice.between(0, 0.5),
      },
    };
  },
};
