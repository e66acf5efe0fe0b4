import { readdir, stat } from 'node:fs/promises';
import sharp from 'sharp';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../../scripts/cli/main.js';
import { generate } from '../../scripts/generate.js';
import { img2img } from '../../scripts/img2img.js';
import { inspect } from '../../scripts/inspect.js';
import { readRecipe } from '../../src/image/index.js';
import { labelled, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { capture } from './capture.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, [generate, img2img, inspect] as never));
const sampling = () => ['--model', at('model'), '--steps', '2', '--threads', '1', '--quiet'];
const draw = (...argv: string[]) => sumi('generate', ...sampling(), ...argv);

beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  const blot = Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle cx="20" cy="20" r="9" fill="#c02"/></svg>',
  );
  await sharp(blot).png().toFile(at('scribble.png'));
  const empty = { create: { width: 8, height: 8, channels: 4 as const, background: '#ff000000' } };
  await sharp(empty).png().toFile(at('empty.png'));
}, 60_000);
afterEach(() => {
  process.exitCode = undefined;
});

describe('looks', () => {
  it('are in the recipe of a picture, which inspect shows', async () => {
    const out = at('looks.png');
    const looks = [
      '--scribble',
      at('scribble.png'),
      '--palette',
      '#3b6fd4,#FC0',
      '--palette-strength',
      '0.7',
    ];
    const run = await draw('--out', out, ...looks);
    expect(run).toMatchObject({ value: 0, stdout: `${out}\n` });
    const recipe = {
      scribble: at('scribble.png'),
      scribbleStrength: 0.5,
      palette: ['#3b6fd4', '#ffcc00'],
      paletteStrength: 0.7,
      eta: 1,
    };
    expect(await readRecipe(out)).toMatchObject(recipe);
    const { stdout } = await sumi('inspect', out);
    for (const name of Object.keys(recipe)) expect(stdout).toContain(name);
  });

  it('lead img2img, by the colours of a picture', async () => {
    const run = await sumi(
      'img2img',
      ...sampling(),
      '--image',
      at('scribble.png'),
      '--palette',
      at('scribble.png'),
      '--out',
      at('img.png'),
    );
    expect(run.value).toBe(0);
    const { palette } = (await readRecipe(at('img.png'))) as { palette: string[] };
    expect(palette).toContain('#ffffff');
    expect(palette.length).toBeGreaterThan(1);
  });
});

describe('--vary', () => {
  it('writes pictures of one seed under numbers, with their recipes', async () => {
    const run = await draw(
      '--out',
      at('near'),
      '--seed',
      '7',
      '--vary',
      '0.3',
      '--count',
      '2',
      '--grid',
      '--json',
    );
    expect((await readdir(at('near'))).sort()).toEqual(['7-0.png', '7-1.png', 'grid.png']);
    const images = [0, 1].map((variation) => ({
      path: at('near', `7-${variation}.png`),
      seed: 7,
      variation,
    }));
    expect(JSON.parse(run.stdout).images).toMatchObject(images);
    expect(await readRecipe(at('near', '7-1.png'))).toMatchObject({ seed: 7, vary: 0.3, variation: 1 });
    expect((await sumi('inspect', at('near', '7-1.png'))).stdout).toMatch(/vary +0\.3\n *variation +1/);
  });

  it('gives names to files beside each other, and none to a single file', async () => {
    await draw('--out', at('row', 'x.png'), '--vary', '1', '--count', '2');
    await draw('--out', at('row', 'y.png'), '--vary', '1');
    expect((await readdir(at('row'))).sort()).toEqual(['x-0-0.png', 'x-0-1.png', 'y.png']);
  });
});

it.each([
  [['--scribble', 'empty.png'], /transparent everywhere/],
  [['--scribble', 'none.png'], /none\.png/],
  [['--scribble-strength', '0.5'], /give --scribble, too/],
  [['--scribble', 'scribble.png', '--scribble-strength', '2'], /--scribble-strength/],
  [['--palette', '#123456'], /one colour is no palette/],
  [['--palette', '#12345,#fff'], /'#12345' is no colour/],
  [['--palette-strength', '0.5'], /give --palette, too/],
  [['--vary', '1.2'], /--vary/],
])('refuses %j in one line, and writes nothing', async (argv, message) => {
  const files = argv.map((word) => (word.endsWith('.png') ? at(word) : word));
  const run = await draw('--out', at('refused'), ...files);
  expect(run.value).toBe(2);
  expect(run.stderr).toMatch(/^sumi: [^\n]+ — [^\n]+ — [^\n]+\n$/);
  expect(run.stderr).toMatch(message);
  await expect(stat(at('refused'))).rejects.toThrow();
});
