import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Animation } from '../../scripts/cli/animation.js';
import { labelsOf } from '../../scripts/cli/generate.js';
import { main } from '../../scripts/cli/main.js';
import { outputsOf } from '../../scripts/cli/outputs.js';
import { generate } from '../../scripts/generate.js';
import { inspect } from '../../scripts/inspect.js';
import { readRecipe } from '../../src/image/index.js';
import { labelled, latent, skips, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { capture } from './capture.js';

const at = temporaryFolder();
const commands = [generate, inspect] as never;
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const draw = (...argv: string[]) =>
  sumi('generate', '--model', at('labelled'), '--steps', '2', '--threads', '1', ...argv);

beforeAll(async () => {
  await writeTiny(at('labelled'), labelled);
  await writeTiny(at('latent'), latent);
  await writeTiny(at('skips'), skips);
}, 60_000);
afterEach(() => {
  process.exitCode = undefined;
});

describe('sumi generate', () => {
  it('writes one picture to the file itself, with its recipe', async () => {
    const out = at('one', 'x.png');
    const run = await draw('--out', out, '--label', 'bee', '--seed', '7', '--eta', '0.5', '--guidance', '3');
    expect(run).toMatchObject({ value: 0, stdout: `${out}\n` });
    expect(run.stderr).toMatch(/draw 2\/2\n1 picture in [\d.]+ s\n$/);
    expect(await readdir(at('one'))).toEqual(['x.png']);
    const recipe = {
      model: at('labelled'),
      seed: 7,
      scheduler: 'DDIMScheduler',
      steps: 2,
      label: 'bee',
      guidance: 3,
      eta: 0.5,
      width: 16,
      height: 16,
      engine: 'onnx',
      sumi: expect.stringMatching(/^\d+\.\d+/),
    };
    expect(await readRecipe(out)).toEqual(recipe);
    const inspected = await sumi('inspect', out, '--json');
    expect(JSON.parse(inspected.stdout)).toMatchObject({ kind: 'picture', recipe });
  });

  it('prints one JSON object and nothing else', async () => {
    const run = await draw(
      '--out',
      at('json'),
      '--count',
      '3',
      '--seed',
      '4',
      '--label',
      'cat,0',
      '--json',
      '-q',
    );
    expect(run).toMatchObject({ value: 0, stderr: '' });
    expect(JSON.parse(run.stdout)).toEqual({
      model: at('labelled'),
      engine: 'onnx',
      scheduler: 'DDIMScheduler',
      steps: 2,
      seconds: expect.any(Number),
      images: [
        { path: at('json', '4.png'), seed: 4, label: 'cat' },
        { path: at('json', '5.png'), seed: 5, label: 'ant' },
        { path: at('json', '6.png'), seed: 6, label: 'cat' },
      ],
    });
  });

  it('writes the same bytes whatever the count', async () => {
    const read = (...names: string[]) => readFile(at(...names));
    await draw('--out', at('five'), '--count', '5');
    await draw('--out', at('three'), '--count', '3', '--seed', '2', '--batch', '1');
    await draw('--out', at('single.png'), '--seed', '3');
    for (const seed of [2, 3, 4])
      expect(await read('three', `${seed}.png`)).toEqual(await read('five', `${seed}.png`));
    expect(await read('single.png')).toEqual(await read('five', '3.png'));
    expect(await read('five', '2.png')).not.toEqual(await read('five', '3.png'));
  });

  it('draws faster as it is told, and says so in the recipe where that changes pictures', async () => {
    const run = await draw('--out', at('plain.png'), '--seed', '3', '--steps', '4');
    expect(run.value).toBe(0);
    const fast = ['--batch', '2', '--fast', '2', '--precision', 'int8'];
    await draw('--out', at('fast'), '--count', '3', '--seed', '2', '--steps', '4', ...fast);
    expect((await readdir(at('fast'))).sort()).toEqual(['2.png', '3.png', '4.png']);
    expect(await readRecipe(at('fast', '3.png'))).toMatchObject({ fast: 2, precision: 'int8' });
    await draw('--out', at('bare.png'), '--steps', '4', '--fast', '--seed', '3');
    expect(await readRecipe(at('bare.png'))).toMatchObject({ fast: 3, seed: 3 });
    const plain = await readRecipe(at('plain.png'));
    expect(plain).not.toHaveProperty('fast');
    expect(plain).not.toHaveProperty('precision');
  });

  it('draws sheets and animations of latents', async () => {
    const run = await sumi(
      ...[
        'generate',
        '--model',
        at('latent'),
        '--steps',
        '3',
        '--count',
        '2',
        '--threads',
        '1',
        '--json',
        '-q',
      ],
      ...[
        '--out',
        at('sheet.png'),
        '--grid',
        '--animate',
        at('deeper', 'birth.webp'),
        '--scheduler',
        'dpmsolver',
      ],
    );
    expect(run).toMatchObject({ value: 0, stderr: '' });
    const { images, grid, animation, scheduler } = JSON.parse(run.stdout);
    expect([grid, animation]).toEqual([at('sheet.png'), at('deeper', 'birth.webp')]);
    expect(scheduler).toBe('DPMSolverMultistepScheduler');
    expect(images).toEqual([0, 1].map((seed) => ({ path: at(`sheet-${seed}.png`), seed, label: null })));
    // Two pictures of 16 pixels, eight times as large, with gaps of 2.
    expect(await sharp(grid).metadata()).toMatchObject({ width: 2 * 128 + 6, height: 128 + 4 });
    expect(await readRecipe(grid)).toMatchObject({ count: 2, seed: 0, guidance: 1 });
    expect(await sharp(animation, { animated: true }).metadata()).toMatchObject({ width: 262, pages: 3 });
  });

  it('keeps the finished pictures, the sheet and the animation of a run that is stopped', async () => {
    const out = at('stopped');
    const watch = setInterval(() => {
      if (existsSync(at('stopped', '1.png'))) {
        clearInterval(watch);
        process.emit('SIGINT');
      }
    }, 1);
    const run = await draw(
      '--out',
      out,
      '--count',
      '500',
      '--grid',
      '--animate',
      at('stopped.gif'),
      '--json',
    );
    clearInterval(watch);
    expect(run.value).toBe(130);
    expect(run.stdout).toBe('');
    const files = (await readdir(out)).sort();
    expect(files.length).toBeLessThan(100);
    expect(files).toEqual(expect.arrayContaining(['0.png', '1.png', 'grid.png']));
    expect(run.stderr).toContain(`kept ${files.length - 1} pictures`);
    expect((await readRecipe(at('stopped', 'grid.png')))?.count).toBe(files.length - 1);
    expect((await sharp(at('stopped.gif'), { animated: true }).metadata()).pages).toBe(2);
  });

  it('documents every option', async () => {
    const { stdout } = await sumi('generate', '--help');
    for (const option of ['model', 'out', 'count', 'steps', 'scheduler', 'eta', 'seed', 'label', 'guidance'])
      expect(stdout).toMatch(new RegExp(`--${option} +\\S`));
    for (const option of [
      'grid',
      'animate',
      'batch',
      'fast',
      'precision',
      'engine',
      'threads',
      'size',
      'json',
      'quiet',
    ])
      expect(stdout).toMatch(new RegExp(`--${option} +\\S`));
  });

  it.each([
    [['--count', '0'], /^sumi: 0 is not possible — --count — give a whole number from 1\n$/],
    [['--steps', '0'], /--steps/],
    [['--steps', '2.5'], /--steps/],
    [['--steps', '1001'], /1 to 1000/],
    [['--seed', '-1'], /seed -1 is not possible/],
    [['--seed', '1.5'], /--seed/],
    [['--size', '17'], /17×17 are not possible — --size — use multiples of 2/],
    [['--label', 'dog'], /dog is unknown — --label — use one of ant, bee, cat\n$/],
    [['--scheduler', 'magic'], /'magic' is unknown.*dpmsolver/],
    [['--eta', '2'], /--eta/],
    [['--guidance', '-2'], /--guidance/],
    [['--engine', 'abacus'], /engine/],
    [['--out', 'x.jpg'], /written as PNG/],
    [['--animate', 'x.mp4'], /cannot animate as 'x.mp4'.*\.webp or \.gif/],
    [['--model', 'no-such-model'], /no model no-such-model — --model/],
    [['--wings', '2'], /wings/],
    [['--threads', '0'], /--threads/],
    [['--batch', '0'], /--batch/],
    [['--batch', '1.5'], /1.5 is not possible — --batch — give a whole number from 1\n$/],
    [['--batch', '-2'], /-2 is not possible — --batch/],
    [['--batch', 'all'], /--batch needs a number/],
    [['--batch'], /no value for --batch/],
    [['--fast', '0'], /0 is not possible — --fast — give a whole number from 1\n$/],
    [['--fast='], /no value for --fast/],
    [['--fast', 'very'], /--fast needs a number/],
    [['--precision', 'int3'], /precision/],
    [['--precision', 'int8', '--engine', 'cpu'], /int8 is not possible with the engine cpu — --precision/],
  ])('refuses %j in one line and writes nothing', async (argv, message) => {
    const run = await draw('--out', at('refused'), ...argv);
    expect(run).toMatchObject({ value: 2, stdout: '' });
    expect(run.stderr).toMatch(/^sumi: [^\n]*\n$/);
    expect(run.stderr).toMatch(message);
    expect(existsSync(at('refused'))).toBe(false);
  });

  it('refuses --fast with a network that cannot be cut', async () => {
    const run = await draw('--model', at('skips'), '--fast', '--out', at('refused'));
    expect(run).toMatchObject({ value: 2, stdout: '' });
    expect(run.stderr).toMatch(/^sumi: [^\n]*Skip blocks cannot reuse deep features — [^\n]*--fast[^\n]*\n$/);
    expect(existsSync(at('refused'))).toBe(false);
  });

  it('refuses guidance where there is no null class', async () => {
    const run = await sumi('generate', '--model', at('latent'), '--guidance', '2', '--out', at('refused'));
    expect(run).toMatchObject({ value: 2, stderr: expect.stringMatching(/not trained for guidance/) });
  });

  it('finds a place that cannot be written before it draws', async () => {
    await writeFile(at('file'), '');
    await mkdir(at('folder.png'));
    await mkdir(at('taken', '0.png'), { recursive: true });
    for (const [argv, message] of [
      [['--out', at('file')], /a file is in the way|not a folder/],
      [['--out', at('file', 'deeper')], /a file is in the way/],
      [['--out', at('folder.png')], /a folder is where a file is to be written/],
      [['--out', at('taken')], /a folder is where a file is to be written — .*0\.png/],
      [['--out', at('fine.png'), '--animate', at('file', 'x.gif')], /not a folder|file is in the way/],
    ] as const) {
      const run = await draw(...argv);
      expect(run).toMatchObject({ value: 2, stdout: '' });
      // No progress: nothing was drawn.
      expect(run.stderr).toMatch(/^sumi: [^\n]*\n$/);
      expect(run.stderr).toMatch(message);
    }
    expect(existsSync(at('fine.png'))).toBe(false);
  });
});

describe('options', () => {
  it('names files by seed', () => {
    const names = (out: string, count: number, grid = true) => {
      const { file, folder, grid: sheet } = outputsOf({ out, count, seed: 5, grid });
      return [file(0), file(count - 1), folder, sheet];
    };
    expect(names('a/x.png', 1)).toEqual(['a/x.png', 'a/x.png', 'a', 'a/x-grid.png']);
    expect(names('X.PNG', 3)).toEqual(['X-5.png', 'X-7.png', '.', 'X.PNG']);
    expect(names('out', 2)).toEqual(['out/5.png', 'out/6.png', 'out', 'out/grid.png']);
    expect(names('out', 2, false)[3]).toBeUndefined();
  });

  it('splits labels at commas, except in a label that has one', () => {
    expect(labelsOf(undefined)).toBeUndefined();
    expect(labelsOf(['a, b'], ['a', 'b'])).toEqual(['a', 'b']);
    expect(labelsOf(['a, b'], ['a, b'])).toEqual(['a, b']);
  });

  it('animates at most 41 frames, the first and the last step among them', () => {
    for (const steps of [1, 2, 39, 40, 41, 50, 81, 1000]) {
      const animation = new Animation(steps);
      const shown = Array.from({ length: steps }, (_, i) => i + 1).filter((step) => animation.wants(step));
      expect(shown.length).toBeLessThanOrEqual(41);
      expect([shown[0], shown.at(-1)]).toEqual([1, steps]);
    }
  });
});
