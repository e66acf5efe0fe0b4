/** Drawn things on textured and plain grounds, to be cut out. */
import { blob, type Canvas, type Dice, hsl, type Point } from './canvas.js';
import { FIGURES } from './figures.js';
import { THINGS, type Tone, tone } from './forms.js';
import type { Finish, RenderedKind } from './scene.js';

/** A ground: its main colour, and what its finish adds. */
export interface Ground extends Pick<Finish, 'stretch' | 'clouds'> {
  readonly tone: Tone;
  /** Strength of its clouds; 0 on plain grounds. */
  readonly texture: number;
}

/** Draws a ground of its own colours: a third are plain, others have stripes, speckles or clouds alone. */
export function drawGround(canvas: Canvas, dice: Dice): Ground {
  const shade = (most: number): Tone => {
    return { hue: dice.between(0, 360), saturation: dice.between(0, most), light: dice.between(10, 97) };
  };
  const base = shade(60);
  canvas.decorate('M0 0H100V100H0Z', `fill="${hsl(base.hue, base.saturation, base.light)}"`);
  const plain = dice.chance(0.33);
  if (plain) return { tone: base, texture: dice.chance(0.5) ? 0 : 6, stretch: 1, clouds: 25 };
  const { hue, saturation, light } = shade(50);
  const second = hsl(hue, saturation, light);
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
  const clouds = dice.between(5, 25);
  return { tone: base, texture: dice.between(8, 45), stretch: dice.pick([1, 1, 4]), clouds };
}

/** Whether a thing of one colour is seen on a ground of another without an outline. */
function seen(a: Tone, b: Tone): boolean {
  if (Math.abs(a.light - b.light) > 15) return true;
  const turn = Math.abs(a.hue - b.hue) % 360;
  return Math.min(a.saturation, b.saturation) > 30 && Math.min(turn, 360 - turn) > 40;
}

export const sprites: RenderedKind = {
  summary: 'drawn things on textures, to be cut out',
  family: 'art',
  classes: [
    { name: 'background', mask: '#000000' },
    { name: 'object', mask: '#ffffff' },
  ],
  defaultCount: 1200,
  draw(canvas, dice) {
    const ground = drawGround(canvas, dice);
    const number = dice.chance(0.75) ? 1 : 2;
    for (let i = 0; i < number; i++) {
      const r = number === 1 ? dice.between(18, 36) : dice.between(12, 20);
      const x = number === 1 ? dice.between(36, 64) : i === 0 ? dice.between(22, 32) : dice.between(68, 78);
      const place = { centre: [x, dice.between(36, 64)] as Point, r, turn: dice.between(-0.6, 0.6) };
      const outlined = dice.chance(0.5);
      const colour = dice.pick(['#111', '#111', '#222a44', '#3a1c10', '#fff']);
      const line = outlined ? { colour, width: dice.between(0.7, 2) } : undefined;
      let main = tone(dice);
      while (!outlined && !seen(main, ground.tone)) main = tone(dice);
      dice.pick([...THINGS, ...FIGURES])(canvas, dice, place, main, line);
    }
    const clean = dice.chance(0.4);
    const finish = {
      grain: clean ? 0 : dice.between(1, 5),
      texture: [ground.texture, clean ? 0 : 3],
      clouds: ground.clouds,
      stretch: ground.stretch,
      light: clean ? 0 : 8,
      blur: 0,
    };
    return { objects: number, finish };
  },
};
