/** `--lora` of the commands that draw. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { decodeRgb, readRecipe, writePng } from '../../src/image/index.js';
import { noisyPicture } from '../pipelines/pictures.js';
import { writeStable } from '../pipelines/stable.js';
import { labelled, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { capture } from './capture.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const lora = (name: string) => join(import.meta.dirname, `../fixtures/lora/${name}.safetensors`);
const few = ['--steps', '2', '--threads', '1', '-q', '--scheduler', 'ddim', '--prompt', 'a cat'];

beforeAll(async () => {
  await writeStable(at('sd1'), 'sd1');
  await writeTiny(at('labelled'), labelled);
  await writePng(at('in.png'), noisyPicture(32, 32));
  await writePng(at('mask.png'), {
    data: new Uint8Array(32 * 32 * 3).fill(255, 32 * 16 * 3),
    width: 32,
    height: 32,
  });
}, 60_000);
afterEach(() => {
  process.exitCode = undefined;
});

const draw = async (name: string, ...options: string[]) => {
  const out = at(`${name}.png`);
  const run = await sumi('generate', '--model', at('sd1'), '--out', out, ...few, ...options);
  expect(run).toMatchObject({ value: 0, stderr: '' });
  return {
    pixels: Buffer.from((await decodeRgb(out)).data).toString('base64'),
    recipe: await readRecipe(out),
  };
};

describe('sumi generate --lora', () => {
  it('draws with files, each as strong as is said, and notes them in the picture', async () => {
    const plain = await draw('plain');
    expect(plain.recipe).not.toHaveProperty('loras');
    const one = await draw('one', '--lora', lora('kohya'));
    expect(one.recipe).toMatchObject({ loras: ['kohya.safetensors:1'] });
    expect(one.pixels).not.toBe(plain.pixels);
    const weak = await draw('weak', '--lora', `${lora('kohya')}:0.25`);
    expect(weak.pixels).not.toBe(one.pixels);
    expect((await draw('off', '--lora', `${lora('kohya')}:0`)).pixels).toBe(plain.pixels);
    const two = await draw('two', '--lora', `${lora('kohya')}:-.5`, '--lora', `${lora('peft')}:1e-1`);
    expect(two.recipe).toMatchObject({ loras: ['kohya.safetensors:-0.5', 'peft.safetensors:0.1'] });
    expect(new Set([plain, one, weak, two].map(({ pixels }) => pixels)).size).toBe(4);
  });

  it('is the only option that counts more than once', async () => {
    const twice = ['--seed', '3', '--seed', '4', '--json', '--out', at('twice.png')];
    const { stdout } = await sumi('generate', '--model', at('sd1'), ...few, ...twice);
    expect(JSON.parse(stdout).images).toMatchObject([{ seed: 4 }]);
  });

  it('takes a file whose name looks like a scale', async () => {
    await copyFile(lora('rslora'), at('odd:0.5'));
    expect((await draw('odd', '--lora', at('odd:0.5'))).recipe).toMatchObject({ loras: ['odd:0.5:1'] });
  });

  it('stands in the report', async () => {
    const out = ['--out', at('json.png'), '--json', '--lora', lora('rslora')];
    const { stdout } = await sumi('generate', '--model', at('sd1'), ...few, ...out);
    expect(JSON.parse(stdout).loras).toEqual(['rslora.safetensors:1']);
  });

  it.each<[string, string[], RegExp]>([
    ['sd1', ['--lora', 'none.safetensors:2'], /^sumi: no such LoRA file — none\.safetensors — /],
    ['sd1', ['--lora', `${lora('peft')}:strong`], /^sumi: "strong" is no number — --lora .*FILE:SCALE/],
    ['sd1', ['--lora', `${lora('peft')}:`], /^sumi: "" is no number/],
    ['sd1', ['--lora'], /^sumi: no value for --lora/],
    ['labelled', ['--lora', lora('peft')], /^sumi: \d+ of \d+ keys belong to nothing in the model \(/],
  ])('refuses, %s: %j', async (model, options, message) => {
    const texts = model === 'sd1' ? few : few.slice(0, -2);
    const run = await sumi('generate', '--model', at(model), '--out', at('none.png'), ...texts, ...options);
    expect(run).toMatchObject({ value: 2, stdout: '' });
    expect(run.stderr).toMatch(message);
    expect(run.stderr.trimEnd()).not.toContain('\n');
  });
});

describe('what changes a given picture', () => {
  it.each([
    ['img2img', []],
    ['inpaint', ['--mask', 'mask.png', '--method', 'replace']],
  ])('%s takes files', async (command, options) => {
    const rest = options.map((o) => (o === 'mask.png' ? at(o) : o));
    const pixels: string[] = [];
    for (const [i, more] of [[], ['--lora', `${lora('processor')}:0.5`]].entries()) {
      const out = at(`${command}-${i}.png`);
      const files = ['--model', at('sd1'), '--image', at('in.png'), '--out', out];
      expect(await sumi(command, ...files, ...rest, ...few, ...more)).toMatchObject({ value: 0 });
      pixels.push(Buffer.from((await decodeRgb(out)).data).toString('base64'));
    }
    expect(pixels[0]).not.toBe(pixels[1]);
    expect(await readRecipe(at(`${command}-1.png`))).toMatchObject({ loras: ['processor.safetensors:0.5'] });
  });
});
