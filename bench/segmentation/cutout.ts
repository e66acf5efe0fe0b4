/**
 * How well a model cuts out drawings of a kind that it has never seen: DiceBear's characters and, where their packages
 * are installed, emoji of four makers, each on grounds like those trained on and on soft plain colours.
 *
 *   npx tsx bench/segmentation/cutout.ts --sheet cutouts.png
 */
import { adventurer, bigSmile, lorelei, micah, miniavs, notionists, pixelArt } from '@dicebear/collection';
import { createAvatar, type Style } from '@dicebear/core';
import sharp from 'sharp';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { Canvas, Dice } from '../../src/data/rendered/canvas.js';
import { render } from '../../src/data/rendered/scene.js';
import { drawGround } from '../../src/data/rendered/sprites.js';
import { loadEmoji } from '../../src/data/styles/emoji.js';
import { BACKGROUNDS } from '../../src/data/styles/source.js';
import { contactSheet, type RgbPicture, writePng } from '../../src/image/index.js';
import { Random } from '../../src/random.js';
import { cutOut, foregroundOf, readSegmentModel, Segmenter } from '../../src/segmentation/index.js';

const argv = await yargs(hideBin(process.argv))
  .option('model', { type: 'string', default: 'cutout' })
  .option('count', { type: 'number', default: 40, describe: 'Drawings of each set on each ground' })
  .option('size', { type: 'number', default: 96 })
  .option('seed', { type: 'number', default: 0 })
  .option('packages', { type: 'string', describe: 'Folder that has the emoji packages in its node_modules' })
  .option('sheet', { type: 'string', describe: 'PNG of pictures and cut-outs to write' })
  .strict()
  .parse();
const { size } = argv;

/** A drawing without a ground, as SVG. */
type Draw = (index: number) => string;

function drawings(): Map<string, Draw> {
  const sets = new Map<string, Draw>();
  const characters = { adventurer, bigSmile, lorelei, micah, miniavs, notionists, pixelArt };
  for (const [name, given] of Object.entries(characters)) {
    const style = given as unknown as Style<Record<string, unknown>>;
    sets.set(name, (index) => createAvatar(style, { seed: `${argv.seed}/${index}` }).toString());
  }
  for (const label of ['fluent', 'fxemoji', 'noto', 'twemoji']) {
    try {
      const [source] = loadEmoji([label], argv.packages === undefined ? undefined : [argv.packages]);
      sets.set(label, (index) =>
        source.svg(argv.seed, index).replace(/<rect width="64" height="64"[^>]*>/, ''),
      );
    } catch (error) {
      console.log(`without ${label}: ${(error as Error).message}`);
    }
  }
  return sets;
}

async function ground(kind: 'rendered' | 'plain', name: string, index: number): Promise<RgbPicture> {
  const random = new Random(argv.seed, 'cutout', name, index);
  const canvas = new Canvas(['#000000']);
  if (kind === 'plain') {
    canvas.decorate('M0 0H100V100H0Z', `fill="#${BACKGROUNDS[random.int(BACKGROUNDS.length)]}"`);
    const finish = { grain: 0, texture: [0], clouds: 20, stretch: 1, light: 0, blur: 0 };
    return (await render(canvas, finish, ['#000000'], size, random)).picture;
  }
  const { texture: strength, clouds, stretch } = drawGround(canvas, new Dice(random));
  const finish = { grain: 3, texture: [strength], clouds, stretch, light: 8, blur: 0 };
  return (await render(canvas, finish, ['#000000'], size, random)).picture;
}

/** The drawing, seven tenths of the picture high, in the middle of a ground; and where it is. */
async function compose(svg: string, behind: RgbPicture): Promise<{ picture: RgbPicture; truth: Uint8Array }> {
  const side = Math.round(size * 0.7);
  const at = Math.round((size - side) / 2);
  const drawing = await sharp(Buffer.from(svg), { density: 288 })
    .resize(side, side, { fit: 'contain', background: { r: 0, g: 0, b: 0, alpha: 0 } })
    .extend({
      ...{ left: at, top: at, right: size - side - at, bottom: size - side - at },
      background: { r: 0, g: 0, b: 0, alpha: 0 },
    })
    .ensureAlpha()
    .raw()
    .toBuffer();
  const data = behind.data.map((value, i) => {
    const [p, c] = [Math.floor(i / 3), i % 3];
    const alpha = drawing[p * 4 + 3] / 255;
    return Math.round(drawing[p * 4 + c] * alpha + value * (1 - alpha));
  });
  const truth = Uint8Array.from({ length: size * size }, (_, p) => (drawing[p * 4 + 3] > 127 ? 1 : 0));
  return { picture: { ...behind, data }, truth };
}

function dice(foreground: Float32Array, truth: Uint8Array): number {
  let [both, sum] = [0, 0];
  truth.forEach((t, i) => {
    const p = foreground[i] > 0.5 ? 1 : 0;
    both += p & t;
    sum += p + t;
  });
  return sum === 0 ? 1 : (2 * both) / sum;
}

/** A cut-out over a colour that no drawing has. */
function over(cut: ReturnType<typeof cutOut>): RgbPicture {
  const colour = [0, 255, 136];
  const data = cut.data.map((value, i) => {
    const alpha = (cut.alpha?.[Math.floor(i / 3)] ?? 255) / 255;
    return Math.round(value * alpha + colour[i % 3] * (1 - alpha));
  });
  return { data, width: cut.width, height: cut.height };
}

const segmenter = new Segmenter(await readSegmentModel(argv.model));
const cells: RgbPicture[] = [];
const all: number[] = [];
const say = (scores: readonly number[]) => {
  const sorted = [...scores].sort((a, b) => a - b);
  const mean = scores.reduce((a, b) => a + b) / scores.length;
  const poor = scores.filter((s) => s < 0.8).length;
  return `${mean.toFixed(3)} (median ${sorted[sorted.length >> 1].toFixed(3)}, ${poor} of ${scores.length} below 0.8)`;
};
try {
  for (const [name, draw] of drawings()) {
    const line: string[] = [];
    for (const kind of ['rendered', 'plain'] as const) {
      const scores: number[] = [];
      for (let i = 0; i < argv.count; i++) {
        const { picture, truth } = await compose(draw(i), await ground(kind, name, i));
        const foreground = foregroundOf(await segmenter.probabilities(picture));
        scores.push(dice(foreground, truth));
        if (i < 4) cells.push(picture, over(cutOut(picture, foreground)));
      }
      all.push(...scores);
      line.push(`${kind} ${say(scores)}`);
    }
    console.log(`${name}: mean Dice ${line.join(', ')}`);
  }
} finally {
  await segmenter.dispose();
}
console.log(`all: mean Dice ${say(all)}`);
if (argv.sheet) await writePng(argv.sheet, await contactSheet(cells, { columns: 16, gap: 2 }));
