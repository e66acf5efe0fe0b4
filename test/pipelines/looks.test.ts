/** Pictures led by a scribble or a palette, and pictures near one: with random weights. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertPrediction } from '../../src/diffusion/index.js';
import { InputError } from '../../src/errors.js';
import { paletteDistance } from '../../src/guidance/index.js';
import type { AlphaPicture } from '../../src/image/alpha.js';
import { toFloat } from '../../src/image/index.js';
import {
  Codec,
  DiffusionPipeline,
  type GenerateOptions,
  img2img,
  type StepProgress,
} from '../../src/pipelines/index.js';
import { SteeredDenoiser } from '../../src/pipelines/steered.js';
import { Random } from '../../src/random.js';
import { DDIMScheduler } from '../../src/schedulers/index.js';
import { noisyPicture } from './pictures.js';
import { labelled, latent, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
const one = { threads: 1 };
const open: Record<string, DiffusionPipeline> = {};
beforeAll(async () => {
  for (const [name, model] of Object.entries({ labelled, latent })) {
    await writeTiny(at(name), model);
    open[name] = await DiffusionPipeline.fromPretrained(at(name), one);
  }
}, 60_000);
afterAll(async () => {
  for (const pipeline of Object.values(open)) await pipeline.dispose();
});

/** The left half of a square red, the rest transparent or white. */
function halfRed(side: number, transparent = true): AlphaPicture {
  const left = (p: number) => p % side < side / 2;
  const data = Uint8Array.from({ length: side * side * 3 }, (_, i) =>
    left(Math.floor(i / 3)) ? [200, 20, 40][i % 3] : 255,
  );
  const alpha = Uint8Array.from({ length: side * side }, (_, p) => (left(p) ? 255 : 0));
  return { data, width: side, height: side, ...(transparent && { alpha }) };
}

/** How far the left half's mean colour is from the scribble's, of 255. */
function offRedInAll({ data, width }: AlphaPicture): number {
  const red = halfRed(width).data;
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i++)
    if (Math.floor(i / 3) % width < width / 2) sums[i % 3] += data[i] - red[i];
  const pixels = data.length / 6;
  return Math.hypot(...sums.map((sum) => sum / pixels));
}

/** Mean distance of the left half's colours from the scribble's, of 255. */
function offRed({ data, width }: AlphaPicture): number {
  const red = halfRed(width).data;
  const inside = [...data].map((x, i) => (Math.floor(i / 3) % width < width / 2 ? Math.abs(x - red[i]) : 0));
  return inside.reduce((a, b) => a + b, 0) / (data.length / 2);
}

describe('the way back through the decoder', () => {
  it('is that of finite differences', async () => {
    const { codec } = open.latent;
    const random = new Random(3);
    const sample = random.fork('sample').normal(8 * 8 * 4);
    const slopes = random.fork('slopes').normal(16 * 16 * 3);
    const along = random.fork('along').normal(sample.length);
    const value = async (h: number) => {
      const picture = await codec.decode(
        sample.map((x, i) => x + h * along[i]),
        [8, 8],
      );
      return picture.reduce((sum, x, i) => sum + x * slopes[i], 0);
    };
    const back = await codec.pullBack(sample, slopes, [8, 8]);
    const exact = back.reduce((sum, g, i) => sum + g * along[i], 0);
    const numeric = ((await value(1e-2)) - (await value(-1e-2))) / 2e-2;
    expect(exact / numeric).toBeCloseTo(1, 2);
  });

  it('is nothing in pixel space, and the sum of three equal channels for grey pictures', async () => {
    const slopes = Float32Array.of(1, 2, 3, 4, 5, 6);
    expect(await open.labelled.codec.pullBack(new Float32Array(6), slopes, [1, 2])).toEqual(slopes);
    const grey = new Codec({
      unet: { ...open.labelled.model.unet, out_channels: 1 },
      autoencoder: null,
    });
    expect([...(await grey.pullBack(new Float32Array(2), slopes, [1, 2]))]).toEqual([6, 15]);
  });
});

describe('a prediction', () => {
  const wanted = Float32Array.of(0.5, -0.2, 0.1);
  const target = {
    strength: 1,
    until: 0.5,
    pull: (picture: Float32Array) => {
      const gradient = picture.map((x, i) => x - wanted[i]);
      return { loss: 0.5 * gradient.reduce((sum, g) => sum + g * g, 0), gradient };
    },
  };
  const output = Float32Array.of(0.3, 1.2, -0.4);
  const sample = Float32Array.of(-0.7, 0.9, 0.2);
  const codec = { decode: async (x: Float32Array) => x, pullBack: async (_: unknown, g: Float32Array) => g };
  it.each(['epsilon', 'sample', 'v_prediction'] as const)(
    'of %s becomes that of the picture wanted, but where little noise is left',
    async (prediction_type) => {
      const scheduler = new DDIMScheduler({ prediction_type });
      const led = new SteeredDenoiser({ predict: async () => output }, codec, scheduler, [target]);
      const predict = (t: number) =>
        led.predict(sample, [1, 1], t, { label: null, nullLabel: null, guidanceScale: 1 });
      const alphaProd = scheduler.alphasCumprod[600];
      const original = convertPrediction(await predict(600), sample, alphaProd, prediction_type, 'sample');
      for (const [i, x] of original.entries()) expect(x).toBeCloseTo(wanted[i], 5);
      expect(await predict(50)).toBe(output);
    },
  );
});

describe('a scribble', () => {
  const cases = ['ddim', 'heun', 'dpmsolver', 'euler', 'euler-a'].map((s): [string, string] => [
    'labelled',
    s,
  ]);
  it.each([...cases, ['latent', 'ddim']])(
    'leads pictures of %s to its colours, with %s',
    async (name, scheduler) => {
      // The first step's picture: what a network of random weights makes of it in the last ones is anything.
      const first = async (more: GenerateOptions): Promise<number> => {
        let off = Number.NaN;
        const onStep = async ({ step, preview }: StepProgress) => {
          if (step === 1) off = offRedInAll(await preview());
        };
        await open[name].generate({ seed: 1, steps: 4, scheduler, onStep, ...more });
        return off;
      };
      const plain = await first({});
      const led = await first({ scribble: halfRed(40), scribbleStrength: 0.9 });
      // A decoder of random weights knows no red, and cannot come as near.
      expect(led).toBeLessThan((name === 'latent' ? 1 : 0.75) * plain);
    },
  );

  it('is followed the more the stronger it is, under guidance and beside other pictures', async () => {
    const options: GenerateOptions = { count: 2, label: 'ant', guidanceScale: 2, steps: 6 };
    const draw = (more: GenerateOptions) => open.labelled.generate({ ...options, ...more });
    const [plain] = await draw({});
    const [weak] = await draw({ scribble: halfRed(16), scribbleStrength: 0.1 });
    const strong = await draw({ scribble: halfRed(16), scribbleStrength: 1 });
    expect(offRed(strong[0])).toBeLessThan(offRed(weak));
    expect(offRed(weak)).toBeLessThan(offRed(plain));
    const [alone] = await draw({ seed: 1, count: 1, scribble: halfRed(16), scribbleStrength: 1 });
    expect(alone.data).toEqual(strong[1].data);
  });

  it('on white is the same as on nothing', async () => {
    const draw = async (scribble: AlphaPicture) =>
      (await open.labelled.generate({ label: 'ant', scribble }))[0].data;
    expect(await draw(halfRed(16, false))).toEqual(await draw(halfRed(16)));
  });

  it('beside the part that is seen is refused', async () => {
    const side: AlphaPicture = {
      data: new Uint8Array(90 * 30 * 3),
      alpha: Uint8Array.from({ length: 90 * 30 }, (_, p) => (p % 90 < 5 ? 255 : 0)),
      width: 90,
      height: 30,
    };
    await expect(open.labelled.generate({ scribble: side })).rejects.toThrow(/nothing.*left at 16×16/);
  });

  it('leads what is made of a picture, too', async () => {
    const image = noisyPicture(16, 16);
    const options = { image, strength: 0.8, steps: 8, label: 'bee' };
    const [plain] = await img2img(open.labelled, options);
    const [led] = await img2img(open.labelled, { ...options, scribble: halfRed(16), scribbleStrength: 1 });
    expect(offRed(led)).toBeLessThan(offRed(plain));
  });
});

describe('a palette', () => {
  const palette = [
    [20, 20, 60],
    [240, 200, 120],
  ] as const;
  it.each(['labelled', 'latent'])('leads pictures of %s to its colours', async (name) => {
    const options: GenerateOptions = { seed: 2, steps: 8 };
    const [plain] = await open[name].generate(options);
    const [led] = await open[name].generate({ ...options, palette, paletteStrength: 0.9 });
    const distance = ({ data }: AlphaPicture) => paletteDistance(toFloat(data), palette);
    expect(distance(led)).toBeLessThan((name === 'latent' ? 0.98 : 0.85) * distance(plain));
  });
});

describe('variations', () => {
  const draw = (options: GenerateOptions) => open.labelled.generate({ seed: 7, steps: 4, ...options });

  it('are the picture itself at 0, and move away from it', async () => {
    const [own] = await draw({});
    const off = async (vary: number) => {
      const [{ data, label, seed, variation }] = await draw({ vary });
      expect({ label, seed, variation }).toEqual({ label: own.label, seed: 7, variation: 0 });
      return data.reduce((sum, x, i) => sum + Math.abs(x - own.data[i]), 0) / data.length;
    };
    const [none, little, some, all] = [await off(0), await off(0.1), await off(0.4), await off(1)];
    expect(none).toBe(0);
    expect(little).toBeGreaterThan(0);
    expect(some).toBeGreaterThan(little);
    expect(all).toBeGreaterThan(some);
  });

  it('depend on their number and not on how many there are, steps that add noise included', async () => {
    const three = await draw({ vary: 0.5, count: 3, scheduler: 'ddpm' });
    const two = await draw({ vary: 0.5, count: 2, scheduler: 'ddpm' });
    expect(two.map(({ data }) => data)).toEqual(three.slice(0, 2).map(({ data }) => data));
    expect(three.map(({ variation }) => variation)).toEqual([0, 1, 2]);
    expect(three[1].data).not.toEqual(three[0].data);
    const [own] = await draw({ scheduler: 'ddpm' });
    expect((await draw({ vary: 0, scheduler: 'ddpm' }))[0].data).toEqual(own.data);
  });

  it('of one noise may show several labels', async () => {
    const labels = ['ant', 'bee'];
    const both = await draw({ vary: 0, count: 2, label: labels });
    for (const [i, label] of labels.entries()) expect(both[i].data).toEqual((await draw({ label }))[0].data);
  });

  it('take PyTorch’s noise of the picture', async () => {
    const [own] = await draw({ rng: 'torch' });
    expect((await draw({ vary: 0, rng: 'torch' }))[0].data).toEqual(own.data);
    expect((await draw({ vary: 0.2, rng: 'torch' }))[0].data).not.toEqual(own.data);
  });
});

describe('what cannot be', () => {
  const nothing: AlphaPicture = { ...halfRed(4), alpha: new Uint8Array(16) };
  const white: AlphaPicture = { data: new Uint8Array(48).fill(255), width: 4, height: 4 };
  const some: GenerateOptions['palette'] = [
    [0, 0, 0],
    [9, 9, 9],
  ];
  it.each<[GenerateOptions, RegExp]>([
    [{ scribble: nothing }, /transparent everywhere.*--scribble/],
    [{ scribble: white }, /white everywhere.*--scribble/],
    [{ scribble: halfRed(4), scribbleStrength: 0 }, /--scribble-strength/],
    [{ scribble: halfRed(4), scribbleStrength: 1.1 }, /--scribble-strength/],
    [{ scribbleStrength: 0.5 }, /give --scribble, too/],
    [{ palette: [[1, 2, 3]] }, /two colours/],
    [{ palette: [...some, [0, 0, 300]] }, /no colour/],
    [{ palette: some, paletteStrength: Number.NaN }, /--palette-strength/],
    [{ paletteStrength: 0.5 }, /give --palette, too/],
    [{ vary: -0.1 }, /--vary/],
    [{ vary: 1.5 }, /--vary/],
    [{ vary: Number.NaN }, /--vary/],
    [{ vary: 0, count: 2 }, /itself, 2 times.*--vary/],
  ])('%j', (options, message) => {
    expect(() => open.labelled.plan(options)).toThrow(InputError);
    expect(() => open.labelled.plan(options)).toThrow(message);
  });
});
