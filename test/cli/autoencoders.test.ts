/** The commands on checkpoints whose autoencoder is another than AutoencoderKL, as diffusers wrote them. */
import { cp, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { writePng } from '../../src/image/index.js';
import { DiffusionPipeline, img2img, inpaint } from '../../src/pipelines/index.js';
import { boxMask, noisyPicture, pixelsWhere } from '../pipelines/pictures.js';
import { temporaryFolder } from '../pipelines/tiny.js';
import { capture } from './capture.js';

const fixtures = join(import.meta.dirname, '../fixtures/pipelines');
const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));

beforeAll(async () => {
  await cp(join(fixtures, 'vq'), at('vq'), { recursive: true });
  // diffusers' other pipelines call the folder vae.
  await cp(join(fixtures, 'taesd'), at('taesd'), { recursive: true });
  await rename(at('taesd', 'vqvae'), at('taesd', 'vae'));
  const index = JSON.parse(await readFile(at('taesd', 'model_index.json'), 'utf8'));
  const { vqvae: vae, ...rest } = index;
  await writeFile(at('taesd', 'model_index.json'), JSON.stringify({ ...rest, vae }));
  await writePng(at('in.png'), noisyPicture(16, 16));
  const white = { data: new Uint8Array(16 * 16 * 3).fill(255), width: 16, height: 16 };
  await writePng(at('mask.png'), white);
});

describe.each([
  ['vq', 'vqvae', 'VQModel'],
  ['taesd', 'vae', 'AutoencoderTiny'],
])('a checkpoint with %s', (name, folder, className) => {
  it('is described', async () => {
    const { value, stdout } = await sumi('inspect', at(name), '--json');
    expect(value).toBe(0);
    expect(JSON.parse(stdout).components[folder].className).toBe(className);
    expect((await sumi('inspect', at(name))).stdout).toMatch(
      new RegExp(`${folder}\\s+${className}\\s+.*param`),
    );
  });

  it.each([
    ['generate', () => []],
    ['img2img', () => ['--image', at('in.png'), '--strength', '0.6']],
    ['inpaint', () => ['--image', at('in.png'), '--mask', at('mask.png')]],
  ])('serves %s', async (command, inputs) => {
    const out = at(name, `${command}.png`);
    const options = ['--model', at(name), '--steps', '2', '--threads', '1', '--out', out];
    const run = await sumi(command, ...options, ...inputs());
    expect(run).toMatchObject({ value: 0, stdout: `${out}\n` });
  });

  it('draws the same on an eager engine', async () => {
    const pictures = await Promise.all(
      (['onnx', 'wasm'] as const).map(async (engine) => {
        const pipeline = await DiffusionPipeline.fromPretrained(at(name), { engine, threads: 1 });
        const [{ data }] = await pipeline.generate({ steps: 3, seed: 2 });
        await pipeline.dispose();
        return data;
      }),
    );
    const worst = pictures[0].reduce((most, v, i) => Math.max(most, Math.abs(v - pictures[1][i])), 0);
    expect(worst).toBeLessThanOrEqual(1);
  });

  it('keeps what a mask keeps, and at strength 0 what it can encode', async () => {
    const pipeline = await DiffusionPipeline.fromPretrained(at(name), { threads: 1 });
    const image = noisyPicture(20, 16);
    const mask = boxMask(20, 16, [4, 4, 12, 9]);
    const [painted] = await inpaint(pipeline, { image, mask, steps: 2 });
    expect(pixelsWhere(painted, mask, false)).toEqual(pixelsWhere(image, mask, false));
    expect(pixelsWhere(painted, mask, true)).not.toEqual(pixelsWhere(image, mask, true));
    const [side] = pipeline.pictureSize;
    const square = noisyPicture(side, side);
    const [again] = await img2img(pipeline, { image: square, strength: 0, steps: 2 });
    const sizes = [side / pipeline.codec.reduction, side / pipeline.codec.reduction] as const;
    const known = await pipeline.codec.encode(
      Float32Array.from(square.data, (v) => v / 127.5 - 1),
      [side, side],
    );
    expect(again.data).toEqual((await pipeline.decode(known, sizes)).data);
    await pipeline.dispose();
  });
});
