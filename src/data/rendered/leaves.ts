/** A leaf with lesions, on soil, paper or other green. */
import { arc, blob, closedCurve, type Point } from './canvas.js';
import type { RenderedKind } from './scene.js';

export const leaves: RenderedKind = {
  summary: 'leaves with lesions',
  family: 'agriculture',
  classes: [
    { name: 'background', mask: '#000000' },
    { name: 'leaf', mask: '#008000', colour: '#34c759' },
    { name: 'lesion', mask: '#ff0000', colour: '#ff3b30' },
  ],
  defaultCount: 240,
  counted: 'lesion',
  draw(canvas, dice) {
    const ground = dice.pick([
      () => dice.colour([20, 40], [20, 40], [18, 34]), // soil
      () => dice.colour([30, 60], [5, 15], [78, 92]), // paper
      () => dice.colour([170, 260], [10, 30], [35, 60]), // cloth
    ])();
    canvas.decorate('M0 0H100V100H0Z', `fill="${ground}"`);
    const turn = dice.between(0, 2 * Math.PI);
    const [long, wide] = [dice.between(34, 44), dice.between(16, 25)];
    const centre: Point = [50 + dice.between(-6, 6), 50 + dice.between(-6, 6)];
    /** Along the leaf from stem (-1) to tip (1), across it in units of the scene. */
    const place = (along: number, across: number): Point => [
      centre[0] + long * along * Math.cos(turn) - across * Math.sin(turn),
      centre[1] + long * along * Math.sin(turn) + across * Math.cos(turn),
    ];
    const half = (t: number) => wide * (1 - t * t) ** 0.6 * (1 - 0.35 * t);
    const steps = [-1, -0.8, -0.5, -0.15, 0.2, 0.5, 0.8];
    const edge = [
      ...steps.map((t) => place(t, half(t) * dice.between(0.92, 1.08))),
      place(1, 0),
      ...steps
        .slice(1)
        .reverse()
        .map((t) => place(t, -half(t) * dice.between(0.92, 1.08))),
    ];
    const hue = dice.between(75, 130);
    const light = dice.between(30, 44);
    const paint = canvas.gradient(`hsl(${hue},50%,${light + 7}%)`, `hsl(${hue + 8},50%,${light - 5}%)`);
    canvas.fill(1, closedCurve(edge), paint);
    const vein = `fill="none" stroke="hsl(${hue},40%,${light + 20}%)" opacity="0.7"`;
    canvas.decorate(
      arc(place(-1, 0), place(0, dice.between(-1, 1)), place(0.95, 0)),
      `${vein} stroke-width="1"`,
    );
    for (const t of [-0.6, -0.3, 0, 0.3, 0.55]) {
      for (const side of [1, -1]) {
        const to = place(t + 0.22, side * half(t + 0.22) * 0.82);
        canvas.decorate(`M${place(t, 0).join(' ')}L${to.join(' ')}`, `${vein} stroke-width="0.5"`);
      }
    }
    const lesions: { t: number; across: number; r: number }[] = [];
    const wanted = dice.whole(1, 7);
    for (let tries = 0; tries < 100 && lesions.length < wanted; tries++) {
      const [t, r] = [dice.between(-0.75, 0.7), dice.between(2.6, 5.5)];
      const room = half(t) - r - 1.5;
      if (room <= 0) continue;
      const across = dice.between(-room, room);
      const off = lesions.every((o) => Math.hypot((o.t - t) * long, o.across - across) > o.r + r + 1.5);
      if (off) lesions.push({ t, across, r });
    }
    for (const { t, across, r } of lesions) {
      const where = place(t, across);
      const brown = dice.colour([18, 42], [45, 70], [20, 38]);
      canvas.fill(2, blob(dice, where, r, 0.2), brown, { colour: 'hsl(50,70%,55%)', width: 0.7 });
      canvas.decorate(blob(dice, where, r * 0.45, 0.2), 'fill="#d8c49a" opacity="0.55"');
    }
    const finish = {
      grain: 4,
      texture: [22, 9, 10],
      clouds: 7,
      stretch: 1,
      light: 14,
      blur: dice.between(0, 0.6),
    };
    return { objects: lesions.length, finish };
  },
};
