/** The shipped cut-out model: found by its name, small, and good at pictures of its kind that it was not trained on. */
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { renderDataset } from '../../src/data/rendered/index.js';
import { decodeWithAlpha } from '../../src/image/alpha.js';
import { decodeRgb } from '../../src/image/index.js';
import { capture } from '../cli/capture.js';
import { temporaryFolder } from '../data/helpers.js';
import { labelled, writeTiny } from '../pipelines/tiny.js';

const dir = await temporaryFolder();
const model = join(import.meta.dirname, '../../models/cutout');

/** Runs the command line in the temporary folder, where it has no models at hand but the shipped ones. */
async function sumi(...words: string[]) {
  const [code, before] = [process.exitCode, process.cwd()];
  process.exitCode = undefined;
  process.chdir(dir);
  const { value, stdout, stderr } = await capture(() => main(words, commands));
  process.chdir(before);
  process.exitCode = code;
  return { code: value, stdout, stderr };
}

// Seed 0 is trained on, seed 1 is the example's held-back part.
const { images, masks } = await renderDataset('sprites', { out: join(dir, 'fresh'), seed: 4711, count: 24 });

it('is small, and says what it is', async () => {
  const files = await readdir(model);
  expect(files.sort()).toEqual([
    ...['README.md', 'config.json', 'diffusion_pytorch_model.safetensors', 'sumi.json'],
  ]);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(model, file))).size));
  expect(sizes.reduce((a, b) => a + b)).toBeLessThan(10e6);
});

it('cuts out fresh pictures of its kind by its name', async () => {
  const out = join(dir, 'cut');
  await mkdir(join(dir, 'cutout')); // a folder of that name, but no model
  const { code, stdout, stderr } = await sumi(
    ...['segment', 'predict', '--model', 'cutout', '--image', images, '--masks', masks, '--out', out],
    ...['--save', 'cutout', '--json', '--quiet', '--threads', '1'],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { scores } = JSON.parse(stdout);
  expect(scores.pictures).toBe(24);
  expect(scores.meanDice).toBeGreaterThan(0.95);
  const [cut, mask] = [
    await decodeWithAlpha(join(out, '00003-cutout.png')),
    await decodeRgb(join(masks, '00003.png')),
  ];
  let wrong = 0;
  cut.alpha?.forEach((alpha, i) => {
    if (alpha > 127 !== mask.data[i * 3] > 127) wrong++;
  });
  expect(cut.alpha).toHaveLength(96 * 96);
  expect(wrong).toBeLessThan(0.05 * 96 * 96);
}, 120_000);

it('makes larger pictures smaller by itself', async () => {
  const large = await renderDataset('sprites', { out: join(dir, 'large'), seed: 4712, count: 6, size: 320 });
  const { code, stdout } = await sumi(
    ...['segment', 'predict', '--model', 'cutout', '--image', large.images, '--masks', large.masks],
    ...['--out', join(dir, 'large-cut'), '--save', 'mask', '--json', '--quiet', '--threads', '1'],
  );
  expect(code).toBe(0);
  expect(JSON.parse(stdout).scores.meanDice).toBeGreaterThan(0.93);
});

it('says where sumi inpaint draws, and is named where there is no model', async () => {
  await writeTiny(join(dir, 'diffusion'), labelled);
  const { code, stdout, stderr } = await sumi(
    ...['inpaint', '--model', 'diffusion', '--image', join(images, '00003.png'), '--steps', '2'],
    ...['--mask-from', 'segment:cutout', '--method', 'replace', '--out', 'new.png', '--json', '--quiet'],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const mask = await decodeRgb(join(masks, '00003.png'));
  const truth = mask.data.filter((value, i) => i % 3 === 0 && value > 127).length / (96 * 96);
  expect(JSON.parse(stdout).painted).toBeGreaterThan(0.8 * truth);
  expect(JSON.parse(stdout).painted).toBeLessThan(1.2 * truth);
  const none = await sumi('segment', 'predict', '--model', 'fresh', '--image', images, '--quiet');
  expect(none.code).toBe(2);
  expect(none.stderr).toMatch(/no segmentation model — fresh — .*or cutout/);
});
