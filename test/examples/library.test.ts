/** The examples of examples/library do what they say, on tiny models. */
import { readdirSync } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { main as generate } from '../../examples/library/generate.js';
import { main as networks } from '../../examples/library/networks.js';
import { main as steps } from '../../examples/library/steps.js';
import { main as stop } from '../../examples/library/stop.js';
import { main as textToImage } from '../../examples/library/text-to-image.js';
import { main as train } from '../../examples/library/train.js';
import { decodeRgb, readRecipe, writePng } from '../../src/image/index.js';
import { noisyPicture } from '../pipelines/pictures.js';
import { writeStable } from '../pipelines/stable.js';
import { labelled, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  await writeStable(at('sd1'), 'sd1');
}, 60_000);

it('every example is run here', () => {
  const files = readdirSync(join(import.meta.dirname, '../../examples/library'));
  expect(files.sort()).toEqual([
    'generate.ts',
    'networks.ts',
    'steps.ts',
    'stop.ts',
    'text-to-image.ts',
    'train.ts',
  ]);
});

it('generate: a sheet of three schedulers', async () => {
  const sheet = await generate(at('model'), at('sheets'), 3);
  expect(sheet).toBe(at('sheets', 'schedulers.png'));
  const { width, height } = await decodeRgb(sheet);
  expect(height).toBeGreaterThan(width);
});

it('steps: previews and two pictures, and no more', async () => {
  const files = await steps(at('model'), at('watched'), 8);
  expect(files.map((file) => file.slice(at('watched').length + 1))).toEqual([
    '0-step-4.png',
    '0-step-8.png',
    '0.png',
    '1-step-4.png',
    '1-step-8.png',
    '1.png',
  ]);
  expect((await readdir(at('watched'))).length).toBe(6);
  expect(await readRecipe(at('watched', '1.png'))).toMatchObject({ seed: 2 });
});

it('stop: what is done in time', async () => {
  const done = await stop(at('model'), 1500);
  expect(done).toBeGreaterThan(0);
  expect(done).toBeLessThan(1000);
});

it('text-to-image: with a LoRA file', async () => {
  const lora = join(import.meta.dirname, '../fixtures/lora/kohya.safetensors');
  await textToImage(at('sd1'), 'a cat', at('cat.png'), [lora], 2);
  await textToImage(at('sd1'), 'a cat', at('plain.png'), [], 2);
  expect((await decodeRgb(at('cat.png'))).data).not.toEqual((await decodeRgb(at('plain.png'))).data);
});

it('train: a model of its own', async () => {
  for (let i = 0; i < 6; i++) await writePng(at('data', `${i}.png`), noisyPicture(16, 16));
  const losses = await train(at('data'), at('run'), 4);
  expect(losses.length).toBe(4);
  expect(losses.every(Number.isFinite)).toBe(true);
  await access(at('run', 'drawn.png'));
});

it('networks: compiled and not, they agree', async () => {
  expect(await networks()).toBeLessThan(1e-5);
});
