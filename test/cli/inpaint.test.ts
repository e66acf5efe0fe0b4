import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { decodeRgb, type RgbPicture, readRecipe, writePng } from '../../src/image/index.js';
import { boxMask, noisyPicture, pixelsWhere } from '../pipelines/pictures.js';
import { labelled, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { capture } from './capture.js';

const at = temporaryFolder();
const image = noisyPicture(24, 20);
const mask = boxMask(24, 20, [6, 5, 14, 12]);
const grey = ({ data, width, height }: typeof mask): RgbPicture => ({
  data: Uint8Array.from({ length: data.length * 3 }, (_, i) => Math.round(255 * data[Math.floor(i / 3)])),
  width,
  height,
});

beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  await writePng(at('image.png'), image);
  await writePng(at('mask.png'), grey(mask));
  await writePng(at('black.png'), grey(boxMask(24, 20, [0, 0, 0, 0])));
  await writePng(at('white.png'), grey(boxMask(24, 20, [0, 0, 24, 20])));
  await writePng(at('most.png'), grey(boxMask(24, 20, [0, 0, 24, 19])));
  await writePng(at('double.png'), grey(boxMask(48, 40, [12, 10, 28, 24])));
  await writePng(at('oblong.png'), grey(boxMask(40, 20, [6, 5, 14, 12])));
  await writeFile(at('notes.txt'), 'no picture');
});

const inpaint = (...argv: string[]) => {
  const common = ['--model', at('model'), '--image', at('image.png'), '--steps', '2', '--quiet'];
  return capture(() => main(['inpaint', ...common, '--out', at('out.png'), ...argv], commands));
};

describe('sumi inpaint', () => {
  it('keeps what is black to the byte, and tells what it did', async () => {
    const { value, stdout, stderr } = await inpaint('--mask', at('mask.png'), '--json', '--label', 'bee');
    expect({ value, stderr }).toEqual({ value: 0, stderr: '' });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      model: at('model'),
      engine: 'onnx',
      scheduler: 'DDIMScheduler',
      method: 'repaint',
      steps: 2,
      images: [{ path: at('out.png'), seed: 0, label: 'bee' }],
    });
    expect(report.painted).toBeCloseTo(56 / 480, 4);
    expect(report.seconds).toBeGreaterThan(0);
    const drawn = await decodeRgb(at('out.png'));
    expect(pixelsWhere(drawn, mask, false)).toEqual(pixelsWhere(image, mask, false));
    expect(pixelsWhere(drawn, mask, true)).not.toEqual(pixelsWhere(image, mask, true));
    expect(await readRecipe(at('out.png'))).toMatchObject({
      method: 'repaint',
      seed: 0,
      label: 'bee',
      steps: 2,
      painted: report.painted,
      blend: 'poisson',
      feather: 0,
      region: { left: 0, top: -2, side: 24 },
      guidance: 1,
      eta: 1,
      width: 24,
      height: 20,
    });
  });

  it('draws several, each by its own seed', async () => {
    await inpaint('--mask', at('mask.png'), '--count', '2', '--seed', '5', '--out', at('several'));
    expect(await readdir(at('several'))).toEqual(['5.png', '6.png']);
    await inpaint('--mask', at('mask.png'), '--seed', '6', '--out', at('six.png'));
    expect(await readFile(at('six.png'))).toEqual(await readFile(at('several', '6.png')));
  });

  it('takes the mask the other way round', async () => {
    await inpaint('--mask', at('mask.png'), '--invert-mask', '--method', 'replace');
    const drawn = await decodeRgb(at('out.png'));
    expect(pixelsWhere(drawn, mask, true)).toEqual(pixelsWhere(image, mask, true));
    expect(pixelsWhere(drawn, mask, false)).not.toEqual(pixelsWhere(image, mask, false));
  });

  it.each([
    ['white.png', [], /the mask is white everywhere: nothing of the picture is kept/],
    ['black.png', ['--invert-mask'], /the mask is black everywhere: nothing of the picture is kept/],
    ['most.png', [], /the mask paints 95 % of the picture.*use --invert-mask/],
    ['double.png', [], /the mask is 48×40, the picture 24×20: the mask is resized/],
  ])('warns of %s with %j', async (name, options, message) => {
    const { value, stderr } = await inpaint('--mask', at(name), ...options);
    expect(value).toBe(0);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it.each([
    [
      ['--mask', 'black.png'],
      /the mask is black everywhere, so nothing is painted — .*black\.png — .*--invert-mask/,
    ],
    [['--mask', 'white.png', '--invert-mask'], /the mask is white everywhere, so nothing is painted/],
    [['--mask', 'oblong.png'], /the mask is 40×20, the picture 24×20 — .*oblong\.png/],
    [['--mask', 'nowhere.png'], /nowhere\.png/],
    [['--mask', 'notes.txt'], /not a picture .*notes\.txt/],
    [['--mask', 'mask.png', '--image', 'notes.txt'], /not a picture .*notes\.txt/],
    [['--mask', 'mask.png', '--label', 'dragon'], /the label dragon is unknown — --label/],
    [['--mask', 'mask.png', '--method', 'magic'], /magic/],
    [['--mask', 'mask.png', '--jumps', '0'], /0 is not possible — --jumps/],
    [['--mask', 'mask.png', '--jump-n-sample', '0'], /0 is not possible — --jumps/],
    [['--mask', 'mask.png', '--feather', '-1'], /-1 is not possible — --feather/],
    [['--mask', 'mask.png', '--count', '0'], /0 is not possible — --count/],
    [['--mask', 'mask.png', '--steps', '0'], /--steps/],
    [['--mask', 'mask.png', '--seed', '-1'], /--seed/],
    [
      ['--mask', 'mask.png', '--scheduler', 'euler'],
      /repaint cannot go back up with EulerDiscrete.* --method replace/,
    ],
    [['--mask', 'mask.png', '--out', 'x.jpg'], /pictures are written as PNG/],
    [['--mask', 'mask.png', '--model', 'nowhere'], /nowhere/],
    [[], /mask/],
  ])('refuses %j', async (options, message) => {
    const files = options.map((o) => (/\.(png|txt|jpg)$/.test(o) ? at(o) : o));
    const { value, stdout, stderr } = await inpaint('--out', at('x.png'), ...files);
    expect({ value, stdout }).toEqual({ value: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(at('x.png'))).toBe(false);
  });

  it('reads JPEG the right way up, and WebP', async () => {
    const picture = sharp(image.data, { raw: { width: 24, height: 20, channels: 3 } });
    // Orientation 6: the camera was turned; seen upright the picture is 20 wide and 24 high.
    await writeFile(
      at('turned.jpg'),
      await picture.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    );
    const upright = await decodeRgb(at('turned.jpg'));
    const other = boxMask(20, 24, [2, 2, 9, 9]);
    await writePng(at('upright.png'), grey(other));
    await inpaint('--image', at('turned.jpg'), '--mask', at('upright.png'));
    const drawn = await decodeRgb(at('out.png'));
    expect([drawn.width, drawn.height]).toEqual([20, 24]);
    expect(pixelsWhere(drawn, other, false)).toEqual(pixelsWhere(upright, other, false));

    await writeFile(at('image.webp'), await picture.webp({ lossless: true }).toBuffer());
    await inpaint('--image', at('image.webp'), '--mask', at('mask.png'));
    const again = await decodeRgb(at('out.png'));
    expect(pixelsWhere(again, mask, false)).toEqual(pixelsWhere(image, mask, false));
  });

  it('keeps transparency, and the colours beneath it', async () => {
    const rgba = Buffer.from(noisyPicture(32, 20).data); // 24×20×4 bytes
    const raw = { width: 24, height: 20, channels: 4 as const };
    await writeFile(at('clear.png'), await sharp(rgba, { raw }).png().toBuffer());
    await inpaint('--image', at('clear.png'), '--mask', at('mask.png'), '--feather', '0');
    const { data, info } = await sharp(at('out.png')).raw().toBuffer({ resolveWithObject: true });
    expect(info.channels).toBe(4);
    for (let i = 0; i < 480; i++) {
      if (mask.data[i] > 0) expect(data[i * 4 + 3]).toBe(255);
      else expect([...data.subarray(i * 4, i * 4 + 4)]).toEqual([...rgba.subarray(i * 4, i * 4 + 4)]);
    }
    expect(await readRecipe(at('out.png'))).toMatchObject({ method: 'repaint' });
  });
});

describe('sumi img2img', () => {
  const img2img = (...argv: string[]) => {
    const common = ['--model', at('model'), '--image', at('image.png'), '--steps', '4', '--quiet'];
    return capture(() => main(['img2img', ...common, '--out', at('i.png'), ...argv], commands));
  };

  it('brings the picture to the model’s size, and tells what it did', async () => {
    const { value, stdout, stderr } = await img2img('--strength', '0.5', '--label', 'cat', '--json');
    expect({ value, stderr }).toEqual({ value: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      scheduler: 'DDIMScheduler',
      strength: 0.5,
      steps: 4,
      images: [{ path: at('i.png'), seed: 0, label: 'cat' }],
    });
    const drawn = await decodeRgb(at('i.png'));
    expect([drawn.width, drawn.height]).toEqual([16, 16]);
    expect(await readRecipe(at('i.png'))).toMatchObject({ strength: 0.5, label: 'cat', steps: 4 });
  });

  it('gives the picture back at strength 0, cropped and resized', async () => {
    expect((await img2img('--strength', '0')).value).toBe(0);
    const wanted = await decodeRgb(at('image.png'), { size: 16 });
    expect(Buffer.from((await decodeRgb(at('i.png'))).data)).toEqual(Buffer.from(wanted.data));
  });

  it('draws the same picture for a seed, whatever the count', async () => {
    await img2img('--count', '2', '--seed', '8', '--out', at('versions'));
    await img2img('--seed', '9', '--out', at('nine.png'));
    expect(await readFile(at('nine.png'))).toEqual(await readFile(at('versions', '9.png')));
  });

  it.each([
    [['--strength', '2'], /a strength of 2 is not possible — --strength/],
    [['--strength', 'much'], /strength/],
    [['--strength', '0.1'], /less than one of 4 steps/],
    [['--image', 'nowhere.png'], /nowhere\.png/],
    [['--label', 'dragon'], /the label dragon is unknown/],
  ])('refuses %j', async (options, message) => {
    const { value, stdout, stderr } = await img2img(...options, '--out', at('y.png'));
    expect({ value, stdout }).toEqual({ value: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(at('y.png'))).toBe(false);
  });
});
