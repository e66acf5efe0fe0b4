/** Clips of balls and crates that move over a still ground and bounce at its edges. */
import { blob, box, circle, hsl, type Point } from './canvas.js';
import type { RenderedKind } from './scene.js';

/** Where something is that moves evenly between two walls. */
function bounce(from: number, speed: number, time: number, low: number, high: number): number {
  const way = high - low;
  const at = (((from - low + speed * time) % (2 * way)) + 2 * way) % (2 * way);
  return low + (at < way ? at : 2 * way - at);
}

export const moving: RenderedKind = {
  summary: 'clips of moving balls and crates, eight frames each',
  family: 'video',
  classes: [
    { name: 'background', mask: '#000000' },
    { name: 'ball', mask: '#ff0000', colour: '#ff3b30' },
    { name: 'crate', mask: '#0000ff', colour: '#2f7bff' },
  ],
  defaultCount: 400,
  frames: 8,
  draw(canvas, dice, frame) {
    const hue = dice.between(0, 360);
    const top = `hsl(${hue},25%,${dice.between(35, 65)}%)`;
    canvas.decorate('M0 0H100V100H0Z', `fill="${canvas.gradient(top, `hsl(${hue + 30},25%,55%)`)}"`);
    for (let i = dice.whole(2, 6); i > 0; i--) {
      const spot: Point = [dice.between(0, 100), dice.between(0, 100)];
      canvas.decorate(
        blob(dice, spot, dice.between(5, 16), 0.35),
        `fill="hsl(${hue + dice.between(-40, 40)},20%,${dice.between(30, 70)}%)" opacity="0.5"`,
      );
    }
    const movers = Array.from({ length: dice.whole(2, 4) }, () => {
      const r = dice.between(6, 11);
      const [x, y] = [dice.between(r, 100 - r), dice.between(r, 100 - r)];
      const [vx, vy] = [dice.between(-6, 6), dice.between(-6, 6)];
      const where: Point = [bounce(x, vx, frame, r, 100 - r), bounce(y, vy, frame, r, 100 - r)];
      const [hue, saturation, light] = [dice.between(0, 360), dice.between(60, 95), dice.between(40, 62)];
      const turn = dice.between(0, 90) + frame * dice.between(-12, 12);
      const label = dice.chance(0.5) ? 1 : 2;
      const line = { colour: '#111', width: 0.8 };
      const [bright, dark] = [hsl(hue, saturation, light + 22), hsl(hue, saturation, light - 16)];
      if (label === 1) {
        canvas.fill(1, circle(where, r), canvas.gradient(bright, dark, 'radial'), line);
      } else {
        canvas.fill(2, box(where, r * 1.7, r * 1.7, turn), hsl(hue, saturation, light), line);
        const panel = `fill="${dark}" stroke="${bright}" stroke-width="0.8"`;
        canvas.decorate(box(where, r * 1.1, r * 1.1, turn), panel);
      }
      return { label, at: where };
    });
    const finish = { grain: 5, texture: [12, 4], clouds: 14, stretch: 1, light: 8, blur: 0.3 };
    return { objects: movers.length, finish, movers };
  },
};
