/** The commands on Stable Diffusion checkpoints. */
import { readdir } from 'node:fs/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { readRecipe, writePng } from '../../src/image/index.js';
import { noisyPicture } from '../pipelines/pictures.js';
import { writeStable } from '../pipelines/stable.js';
import { labelled, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { capture } from './capture.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const few = ['--steps', '2', '--threads', '1'];

beforeAll(async () => {
  for (const name of ['sd1', 'paint'] as const) await writeStable(at(name), name);
  await writeTiny(at('labelled'), labelled);
  await writePng(at('in.png'), noisyPicture(32, 32));
  const half = { data: new Uint8Array(32 * 32 * 3).fill(255, 32 * 16 * 3), width: 32, height: 32 };
  await writePng(at('mask.png'), half);
}, 60_000);
afterEach(() => {
  process.exitCode = undefined;
});

describe('sumi inspect', () => {
  it('describes the parts', async () => {
    const { value, stdout } = await sumi('inspect', at('sd1'), '--json');
    expect(value).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      className: 'StableDiffusionPipeline',
      components: {
        unet: { className: 'UNet2DConditionModel', config: { cross_attention_dim: 32 } },
        vae: { className: 'AutoencoderKL' },
        text_encoder: { className: 'CLIPTextModel', config: { hidden_size: 32 } },
      },
      tokenizer: { className: 'CLIPTokenizer' },
      scheduler: { className: 'PNDMScheduler' },
      otherComponents: ['feature_extractor', 'safety_checker'],
    });
    const text = (await sumi('inspect', at('sd1'))).stdout;
    expect(text).toMatch(/text_encoder\s+CLIPTextModel\s+\d.* parameters/);
    expect(text).toMatch(/tokenizer\s+CLIPTokenizer\n/);
    expect(text).toMatch(/not used by Sumi: feature_extractor, safety_checker/);
  });
});

describe('sumi generate', () => {
  it('draws from a text, which the picture keeps', async () => {
    const out = at('cat.png');
    const texts = ['--prompt', 'a cat', '--negative', 'a dog'];
    const run = await sumi('generate', '--model', at('sd1'), '--out', out, '--seed', '5', ...texts, ...few);
    expect(run).toMatchObject({ value: 0, stdout: `${out}\n` });
    expect(await readRecipe(out)).toEqual({
      model: at('sd1'),
      engine: 'onnx',
      scheduler: 'PNDMScheduler',
      steps: expect.any(Number),
      prompt: 'a cat',
      negativePrompt: 'a dog',
      seed: 5,
      label: null,
      guidance: 7.5,
      eta: 0,
      width: 32,
      height: 32,
      sumi: expect.any(String),
    });
  });

  it('draws pictures that are not square', async () => {
    const out = ['--json', '-q', '--out', at('wide.png')];
    const run = await sumi('generate', '--model', at('sd1'), '--prompt', '', '--width', '40', ...out, ...few);
    expect(run).toMatchObject({ value: 0, stderr: '' });
    expect(JSON.parse(run.stdout)).toMatchObject({ prompt: '', negativePrompt: '' });
    expect(await readRecipe(at('wide.png'))).toMatchObject({ width: 40, height: 32 });
  });

  it('tells of a text that is read only in part', async () => {
    const long = ['--prompt', 'the cat '.repeat(9), '--out', at('long.png')];
    const run = await sumi('generate', '--model', at('sd1'), ...long, ...few);
    expect(run.value).toBe(0);
    expect(run.stderr).toMatch(
      /^sumi: warning: the text has 18 tokens, the model reads the first 14 — --prompt\n/,
    );
  });

  it.each([
    ['sd1', ['--label', 'cat', '--prompt', 'cat'], /texts, not labels — --label cat — use --prompt$/],
    ['sd1', [], /no text to draw from — --prompt — say what the picture shows$/],
    ['sd1', ['--prompt', 'cat', '--size', '60'], /60×60 are not possible — --size — use multiples of 8;/],
    [
      'sd1',
      ['--prompt', 'cat', '--size', '64', '--width', '32'],
      /a size beside a height or a width — --size/,
    ],
    ['labelled', ['--prompt', 'cat'], /does not draw from texts — --prompt — use --label: ant, bee, cat$/],
    ['labelled', ['--negative', 'cat'], /does not draw from texts — --negative — use --label/],
  ])('refuses, %s: %j', async (model, options, message) => {
    const run = await sumi('generate', '--model', at(model), '--out', at('none'), ...options, ...few);
    expect(run).toMatchObject({ value: 2, stdout: '' });
    expect(run.stderr.trimEnd()).toMatch(message);
    expect(run.stderr).toMatch(/^sumi: [^\n]+\n$/);
    await expect(readdir(at('none'))).rejects.toThrow(/ENOENT/);
  });
});

describe('what changes a given picture', () => {
  it('img2img takes a text', async () => {
    const out = at('again.png');
    const options = ['--image', at('in.png'), '--prompt', 'the cat', '--scheduler', 'ddim', '--out', out];
    const run = await sumi('img2img', '--model', at('sd1'), ...options, ...few);
    expect(run).toMatchObject({ value: 0, stdout: `${out}\n` });
    expect(await readRecipe(out)).toMatchObject({ prompt: 'the cat', guidance: 7.5, strength: 0.6 });
  });

  const fill = (model: string, ...options: string[]) => {
    const files = ['--image', at('in.png'), '--mask', at('mask.png'), '--out', at(`${model}-filled.png`)];
    return sumi('inpaint', '--model', at(model), ...files, '--prompt', 'the cat', ...options, ...few);
  };

  it('inpaint takes a text, with a model that was trained for it or not', async () => {
    expect(await fill('paint')).toMatchObject({ value: 0 });
    const trained = await readRecipe(at('paint-filled.png'));
    expect(trained).toMatchObject({ prompt: 'the cat', guidance: 7.5, eta: 0, painted: 0.5 });
    expect(trained).not.toHaveProperty('method');
    expect(await fill('sd1', '--scheduler', 'ddim', '--guidance', '2')).toMatchObject({ value: 0 });
    const other = { method: 'repaint', jumps: 4, guidance: 2, eta: 1 };
    expect(await readRecipe(at('sd1-filled.png'))).toMatchObject(other);
  });

  it('inpaint refuses what does not fit', async () => {
    const method = await fill('paint', '--method', 'replace');
    expect(method).toMatchObject({ value: 2 });
    expect(method.stderr).toMatch(/^sumi: method replace is for models.* — --method — leave it out\n$/);
    expect((await fill('sd1')).stderr).toMatch(/repaint cannot go back up with PNDMScheduler — --scheduler/);
  });
});
