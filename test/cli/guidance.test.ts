/** The options of guidance and of random numbers on the command line: what they write down, and what is no such option. */
import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { labelsOf } from '../../scripts/cli/generate.js';
import { main } from '../../scripts/cli/main.js';
import { generate } from '../../scripts/generate.js';
import { img2img } from '../../scripts/img2img.js';
import { inpaint } from '../../scripts/inpaint.js';
import { readRecipe } from '../../src/image/index.js';
import { labelled, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { capture } from './capture.js';

const at = temporaryFolder();
const commands = [generate, img2img, inpaint] as never;
const run = (command: string, ...argv: string[]) =>
  capture(() => main([command, '--model', at('model'), '--steps', '2', '--threads', '1', ...argv], commands));

const image = () => at('image.png');
const mask = () => at('mask.png');
/** What a command needs besides the options that are tried. */
const needed: Record<string, () => string[]> = {
  generate: () => [],
  img2img: () => ['--image', image()],
  inpaint: () => ['--image', image(), '--mask', mask(), '--guidance', '2', '--method', 'replace'],
};

beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  await writeTiny(at('weaker'), { ...labelled, scale: 0.8 });
  const grey = { width: 16, height: 16, channels: 3, background: '#888888' } as const;
  await writeFile(image(), await sharp({ create: grey }).png().toBuffer());
  const white = { width: 8, height: 8, channels: 3, background: '#ffffff' } as const;
  const box = await sharp({ create: white }).png().toBuffer();
  const black = { ...grey, background: '#000000' };
  await writeFile(
    mask(),
    await sharp({ create: black })
      .composite([{ input: box, left: 4, top: 4 }])
      .png()
      .toBuffer(),
  );
}, 60_000);
afterEach(() => {
  process.exitCode = undefined;
});

describe.each(['generate', 'img2img', 'inpaint'])('sumi %s', (command) => {
  it.each<[string, string[], object]>([
    [
      'all of guidance',
      [
        ...['--negative-label', '2', '--guidance-rescale', '0.5', '--guidance-interval', '0.2,inf'],
        ...['--apg-eta', '0.25', '--rng', 'torch'],
      ],
      {
        negativeLabel: 'cat',
        guidanceRescale: 0.5,
        guidanceInterval: [0.2, 'inf'],
        apg: { eta: 0.25, normThreshold: 0, momentum: -0.5 },
        rng: 'torch',
      },
    ],
    ['a guide', ['--apg', '--guide', 'WEAKER'], { apg: { eta: 0, normThreshold: 0, momentum: -0.5 } }],
    [
      'churn',
      ['--scheduler', 'euler', '--s-churn', '3', '--s-tmin', '0.1'],
      { churn: { amount: 3, min: 0.1 } },
    ],
    ['the defaults', ['--rng', 'sumi', '--no-apg'], {}],
  ])('writes down %s', async (_, options, expected) => {
    const out = at(`${command}.png`);
    const given = options.map((word) => (word === 'WEAKER' ? at('weaker') : word));
    const done = await run(
      command,
      '--out',
      out,
      '--label',
      'ant',
      '--json',
      '-q',
      ...needed[command](),
      ...given,
    );
    expect(done).toMatchObject({ value: 0, stderr: '' });
    const facts = given.includes('--guide') ? { ...expected, guide: at('weaker') } : expected;
    for (const told of [await readRecipe(out), JSON.parse(done.stdout)]) {
      expect(told).toMatchObject(facts);
      for (const key of [
        'negativeLabel',
        'guidanceRescale',
        'guidanceInterval',
        'apg',
        'rng',
        'guide',
        'churn',
      ])
        expect(key in told).toBe(key in facts);
    }
  });

  it.each<[string[], RegExp]>([
    [
      ['--guidance-rescale', '1.5'],
      /^sumi: 1\.5 is not possible — --guidance-rescale — give a number from 0 to 1\n$/,
    ],
    [['--guidance-rescale', 'much'], /^sumi: --guidance-rescale needs a number — sumi/],
    [
      ['--guidance-interval', '3'],
      /^sumi: 3 is no interval of noise levels — --guidance-interval — .*0\.3,3\n$/,
    ],
    [['--guidance-interval', '1,2,3'], /--guidance-interval/],
    [['--guidance-interval', 'a,b'], /--guidance-interval/],
    [['--guidance-interval', '3,1'], /^sumi: 3 to 1 is no interval of noise levels/],
    [['--guidance-interval=-1,1'], /^sumi: -1 to 1 is no interval of noise levels/],
    [['--apg-eta', '-1'], /^sumi: -1 is not possible — --apg-eta — give a number from 0\n$/],
    [['--apg-norm-threshold', '-1'], /^sumi: -1 is not possible — --apg-norm-threshold/],
    [['--apg-momentum', '2'], /^sumi: 2 is not possible — --apg-momentum/],
    [['--apg', '--guidance', '1'], /^sumi: --apg changes nothing without guidance — --guidance — .*\n$/],
    [
      ['--negative-label', 'dog'],
      /^sumi: the label dog is unknown — --negative-label — use one of ant, bee, cat\n$/,
    ],
    [['--negative-label'], /^sumi: no value for --negative-label/],
    [['--guide', '/no/such'], /^sumi: no model \/no\/such — --guide — name a folder/],
    [
      ['--s-churn', '2', '--scheduler', 'ddim'],
      /^sumi: DDIMScheduler takes no churn — --s-churn — .* euler\n$/,
    ],
    [
      ['--s-churn', '-2', '--scheduler', 'euler'],
      /^sumi: -2 is not possible — --s-churn — give a number from 0\n$/,
    ],
    [['--s-tmax', '2', '--scheduler', 'euler'], /^sumi: --s-tmin, --s-tmax .* — --s-churn — give it, too\n$/],
    [['--rng', 'numpy'], /^sumi: not one of its choices: --rng "numpy"/],
  ])('refuses %o', async (options, message) => {
    const done = await run(command, '--out', at('no.png'), ...needed[command](), ...options);
    expect(done.value).toBe(2);
    expect(done.stderr).toMatch(message);
    expect(done.stderr.split('\n')).toHaveLength(2);
    expect(done.stdout).toBe('');
  });
});

describe('labels', () => {
  const drawn = async (...options: string[]) => {
    const done = await run('generate', '--out', at('labels'), '--count', '4', '--json', '-q', ...options);
    expect(done).toMatchObject({ value: 0, stderr: '' });
    return JSON.parse(done.stdout).images.map(({ label }: { label: string }) => label);
  };

  it('given each with its own option are taken in turn, as with commas', async () => {
    const turns = ['cat', 'ant', 'bee', 'cat'];
    expect(await drawn('--label', 'cat', '--label', 'ant', '--label', 'bee')).toEqual(turns);
    expect(await drawn('--label', 'cat,ant', '--label=bee')).toEqual(turns);
    expect(await drawn('--label', 'cat,ant,bee')).toEqual(turns);
    expect(labelsOf(['a, b', 'c,d'], ['a, b'])).toEqual(['a, b', 'c', 'd']);
  });

  it('do not swallow what comes after them', async () => {
    const done = await run('generate', '--out', at('labels'), '--label', 'cat', 'stray');
    expect(done.value).toBe(2);
    expect(done.stderr).toMatch(/^sumi: unknown argument stray — sumi generate/);
  });

  it('leave other options as they were: of those the last counts', async () => {
    expect(await drawn('--seed', '1', '--label', 'bee', '--seed', '7')).toEqual(['bee', 'bee', 'bee', 'bee']);
    for (const seed of [7, 1]) {
      const seeds = ['--seed', '4', `--seed=${seed}`];
      const done = await run('generate', '--out', at('x.png'), ...seeds, '--json', '-q', '-q');
      expect(JSON.parse(done.stdout).images[0].seed).toBe(seed);
    }
  });
});
