import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../../scripts/cli/main.js';
import { evalCommand } from '../../scripts/eval.js';
import { readRecipe } from '../../src/image/index.js';
import { Random } from '../../src/random.js';
import { labelled, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { capture } from './capture.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, [evalCommand] as never));
const evaluate = (...argv: string[]) => sumi('eval', '--threads', '1', '-q', ...argv);
const measure = async (...argv: string[]) => {
  const run = await evaluate(...argv, '--json');
  expect(run).toMatchObject({ value: 0, stderr: '' });
  return JSON.parse(run.stdout);
};

/** Discs of two colours, each label its own, on a folder of sub-folders or on a flat one. */
async function discs(dir: string, from: number, count: number, label?: string): Promise<void> {
  for (let i = from; i < from + count; i++) {
    const own = i % 2 === 0 ? 'ant' : 'bee';
    const random = new Random(i, 'disc');
    const [x, y, r] = [0, 1, 2].map(() => 5 + random.int(6));
    const [red, blue] = own === 'ant' ? [230, 20] : [20, 230];
    const green = random.int(200);
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><rect width="16" height="16" fill="#fff"/><circle cx="${x}" cy="${y}" r="${r / 2}" fill="rgb(${red},${green},${blue})"/></svg>`;
    const folder = label === undefined ? join(dir, own) : join(dir, label);
    await mkdir(folder, { recursive: true });
    await sharp(Buffer.from(svg))
      .png()
      .toFile(join(folder, `${i}.png`));
  }
}

beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  await discs(at('data'), 0, 60);
  await discs(at('more'), 100, 44);
  await discs(at('flat'), 200, 30, '');
  await discs(at('few'), 300, 8);
}, 60_000);
afterEach(() => {
  process.exitCode = undefined;
});

describe('sumi eval MODEL', () => {
  it('draws, measures and reports, naming the network in each report', async () => {
    const out = at('by-model');
    const found = await measure(
      at('model'),
      '--data',
      at('data'),
      '--count',
      '24',
      '--steps',
      '2',
      '--out',
      out,
    );
    expect(found).toMatchObject({
      model: at('model'),
      engine: 'onnx',
      scheduler: 'DDIMScheduler',
      steps: 2,
      guidance: 2,
      extractor: { name: 'efficientnet-lite0', dimensions: 320 },
      size: 16,
      generated: { count: 24, of: 24 },
      real: { from: at('data'), count: 60, of: 60 },
      heldBack: null,
      floor: { of: 'real pictures against the others', count: 24 },
      memorisation: { comparedWith: 'real pictures among themselves' },
    });
    // What random weights draw is nothing like the data, and the data are like themselves.
    expect(found.kid.low).toBeGreaterThan(Math.max(0, found.floor.kid.high));
    expect(found.overlap).toMatchObject({ precision: 0, recall: 0 });
    // Labels come as often as among the real pictures.
    expect(
      found.labels.map(({ label, generated, real }: Record<string, unknown>) => [label, generated, real]),
    ).toEqual([
      ['ant', expect.any(Number), 30],
      ['bee', expect.any(Number), 30],
    ]);
    expect(found.labels[0].generated + found.labels[1].generated).toBe(24);
    expect(found.warnings.join('\n')).toMatch(/FID and FID∞ of 24 pictures say little/);

    expect(await readdir(join(out, 'pictures'))).toHaveLength(24);
    expect(await readRecipe(join(out, 'pictures', '7.png'))).toMatchObject({
      model: at('model'),
      seed: 7,
      steps: 2,
      label: expect.stringMatching(/^(ant|bee)$/),
      width: 16,
    });
    const { files } = found;
    const saved = JSON.parse(await readFile(files.json, 'utf8'));
    expect(saved.kid).toEqual(found.kid);
    const html = await readFile(files.html, 'utf8');
    expect(html).toMatch(/efficientnet-lite0 c24bf859/);
    expect(html.match(/src="data:image\/png;base64,/g)).toHaveLength(3);
    // 24 pairs, 4 a row, 6 times as large, with a line of text below.
    const { width, height } = await sharp(files.closest).metadata();
    expect(width).toBeGreaterThanOrEqual(8 * 96);
    expect(height).toBeGreaterThan(6 * 96);

    // The pictures that were drawn can be measured again without the model, and give the same figures.
    const again = await measure(
      '--images',
      join(out, 'pictures'),
      '--data',
      at('data'),
      '--out',
      at('again'),
    );
    expect(again.kid.value).toBeCloseTo(found.kid.value, 9);
    expect(again.labels.map(({ label }: { label: string }) => label)).toEqual(['ant', 'bee']);
    // A second run would mix its pictures with these.
    expect(await evaluate(at('model'), '--data', at('data'), '--out', out)).toMatchObject({
      value: 2,
      stderr: `sumi: pictures were drawn there before — ${join(out, 'pictures')} — measure them by --images ${join(out, 'pictures')}, or name another --out\n`,
    });
  });

  it('draws and compares one label only', async () => {
    const found = await measure(
      at('model'),
      '--data',
      at('data'),
      '--label',
      'bee',
      '--count',
      '20',
      '--steps',
      '1',
      '--out',
      at('bee'),
    );
    expect(found.real).toMatchObject({ count: 30, of: 30 });
    expect(found.labels).toMatchObject([{ label: 'bee', generated: 20, real: 30 }]);
  });
});

describe('sumi eval --images', () => {
  it('finds nothing between pictures of one kind, and prints tables for people', async () => {
    const out = at('same');
    const argv = [
      'eval',
      '--images',
      at('more'),
      '--data',
      at('data'),
      '--held-back',
      at('flat'),
      '--out',
      out,
    ];
    const run = await sumi(...argv);
    expect(run.value).toBe(0);
    expect(run.stdout).toMatch(/^44 pictures of \S+more against 60 pictures of \S+data\n/);
    expect(run.stdout).toMatch(/KID \(95 %\) +-?[\d.]+ \(-?[\d.]+ … -?[\d.]+\)/);
    expect(run.stdout).toMatch(/label +generated +real/);
    expect(run.stdout).toMatch(/held-back pictures.*no sign of memorisation/);
    expect(run.stdout).toMatch(/features: efficientnet-lite0 c24bf859/);
    expect(run.stdout.trim().split('\n').slice(-3)).toEqual(
      ['report.json', 'report.html', 'closest.png'].map((name) => join(out, name)),
    );
    expect(run.stderr).toMatch(/sumi: warning: FID and FID∞ of 44 pictures/);
    const found = JSON.parse(await readFile(join(out, 'report.json'), 'utf8'));
    expect(found.kid.low).toBeLessThan(0.0005);
    expect(found.overlap.precision).toBeGreaterThan(0.7);
    expect(found.floor).toMatchObject({ of: 'held-back pictures', count: 30 });
  });

  it('finds copies of what was trained on', async () => {
    await discs(at('copies'), 400, 20);
    await cp(at('data', 'ant'), at('copies', 'ant'), { recursive: true });
    const found = await measure('--images', at('copies'), '--data', at('data'), '--out', at('copied'));
    expect(found.memorisation).toMatchObject({ memorises: true });
    expect(found.memorisation.suspicious).toBeGreaterThanOrEqual(30);
    const { pairs } = found.memorisation;
    expect(pairs).toHaveLength(24);
    for (const pair of pairs) expect(pair).toMatchObject({ generated: pair.real, suspicious: true });
  });

  it('keeps the real pictures’ features', async () => {
    const cache = at('cache');
    const run = (images: string) =>
      measure('--images', at(images), '--data', at('data'), '--cache', cache, '--out', at('cached'));
    const first = await run('more');
    const [name, ...others] = await readdir(cache);
    expect(others).toEqual([]);
    expect((await run('more')).kid).toEqual(first.kid);
    // A damaged file is made anew.
    await writeFile(join(cache, name), 'x');
    expect((await run('more')).kid).toEqual(first.kid);
    // Features are the file's: other numbers there are other figures.
    const bytes = await readFile(join(cache, name));
    bytes.fill(0, bytes.length - 320 * 4 * 30);
    await writeFile(join(cache, name), bytes);
    expect((await run('more')).kid).not.toEqual(first.kid);
  });
});

describe('sumi eval --pairs', () => {
  it('compares two versions of the same pictures', async () => {
    for (const name of ['a', 'b']) await discs(at(name), 0, 2, '');
    await sharp(at('a', '1.png')).blur(2).toFile(at('b', '1.png'));
    const found = await measure('--images', at('a'), '--pairs', at('b'));
    expect(found).toMatchObject({
      folders: [at('a'), at('b')],
      extractor: { name: 'efficientnet-lite0' },
      pairs: [{ name: '0.png', psnr: null, ssim: 1, perceptual: expect.closeTo(0, 5) }, { name: '1.png' }],
    });
    const [, blurred] = found.pairs;
    expect(blurred.psnr).toBeGreaterThan(5);
    expect(blurred.psnr).toBeLessThan(40);
    expect(blurred.ssim).toBeLessThan(0.99);
    expect(blurred.perceptual).toBeGreaterThan(0.05);
    expect(found.mean.psnr).toBe(blurred.psnr);
    const { stdout } = await evaluate('--images', at('a'), '--pairs', at('b'));
    expect(stdout).toMatch(/^PSNR dB +SSIM +perceptual +picture\n +equal +1\.0000 +0\.0000 +0\.png\n/);
    expect(stdout).toMatch(/mean of 2\nfeatures: efficientnet-lite0 c24bf859/);
  });
});

describe('bad input', () => {
  it.each([
    [[], /nothing to measure — sumi eval — name a model/],
    [['model'], /nothing to compare with — --data/],
    [['model', '--data', 'data', '--count', '5'], /5 pictures are too few — --count — give 20 at least/],
    [['model', '--data', 'data', '--count', '2.5'], /2.5 is not possible — --count/],
    [['model', '--data', 'missing'], /missing/],
    [['nomodel', '--data', 'data'], /no model .*nomodel/],
    [['model', '--data', 'data', '--held-back', 'missing'], /missing/],
    [['model', '--data', 'few'], /too few pictures: 8 — \S+few — give 20 at least/],
    [['model', '--data', 'data', '--label', 'dog'], /dog.* ant, bee, cat/],
    [
      ['model', '--data', 'data', '--images', 'more'],
      /the pictures are drawn already — \S+model — leave it out/,
    ],
    [['--images', 'more', '--data', 'data', '--steps', '3'], /drawn already — --steps/],
    [['--images', 'missing', '--data', 'data'], /missing/],
    [['--images', 'few', '--data', 'data'], /too few pictures: 8 — \S+few/],
    [['--images', 'more', '--data', 'data', '--label', 'cat'], /no picture is labelled cat — .*ant, bee/],
    [['--images', 'more', '--data', 'data', '--held-back', 'data'], /all among those that were trained on/],
    [['--images', 'data', '--pairs', 'more'], /no picture ant\/0.png — \S+more/],
    [['--pairs', 'more'], /one folder makes no pairs — --pairs — name the other by --images/],
    [
      ['--images', 'data', '--pairs', 'data', '--data', 'data'],
      /pairs are compared as they are — --data — leave it out/,
    ],
  ])('%j', async (argv, line) => {
    const words = argv.map((word) => (/^(--|\d|cat$|dog$)/.test(word) ? word : at(word)));
    const run = await evaluate('--out', at('bad'), ...words);
    expect(run).toMatchObject({ value: 2, stdout: '' });
    expect(run.stderr).toMatch(line);
    expect(run.stderr.trim().split('\n')).toHaveLength(1);
  });

  it('refuses pictures of several sizes unless told one', async () => {
    await discs(at('odd'), 500, 22, '');
    await sharp({ create: { width: 20, height: 16, channels: 3, background: 'red' } })
      .png()
      .toFile(at('odd', '500.png'));
    const argv = ['--images', at('odd'), '--data', at('data'), '--out', at('sized')];
    expect((await evaluate(...argv)).stderr).toMatch(/500.png is 20×16, no square — \S+odd — say by --size/);
    expect(await measure(...argv, '--size', '16')).toMatchObject({ size: 16 });
  });
});
