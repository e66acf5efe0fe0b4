import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  autoencoderSpecs,
  parseAutoencoderConfig,
  parseVQConfig,
  vqSpecs,
} from '../../src/autoencoder/index.js';
import { loadParams, saveParams } from '../../src/checkpoint/load.js';
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { countParams, type ParamSpec, viewParams } from '../../src/engine/params.js';
import { InputError } from '../../src/errors.js';
import { parseUNet2DConfig, unet2dSpecs } from '../../src/unet/index.js';
import { fixtures, pixelWeights, specsOf, temporaryFolder } from './helpers.js';

const at = temporaryFolder();
const spec = (name: string, ...shape: number[]): ParamSpec => ({ name, shape, init: { constant: 0 } });
const tensor = (...data: number[]) => ({ shape: [data.length], data: new Float32Array(data) });

describe('loadParams', () => {
  it('puts every tensor where its spec says', async () => {
    const specs = await specsOf(pixelWeights);
    const flat = await loadParams(specs, pixelWeights);
    expect(flat.length).toBe(countParams(specs));
    const { tensors } = await readSafetensors(pixelWeights);
    const views = viewParams(specs, flat);
    for (const { name } of specs) expect(views[name]).toEqual(tensors.get(name)!.data);
  });

  it('reads an index, or its shards one by one', async () => {
    const unet = join(fixtures, 'sharded/unet');
    const specs = await specsOf(pixelWeights);
    const whole = await loadParams(specs, join(unet, 'diffusion_pytorch_model.safetensors.index.json'));
    const shards = [1, 2, 3].map((i) => join(unet, `diffusion_pytorch_model-0000${i}-of-00003.safetensors`));
    expect(await loadParams(specs, shards)).toEqual(whole);
  });

  it('names what is missing, extra and misshapen, three of each', async () => {
    const path = at('unfit.safetensors');
    await writeSafetensors(path, {
      a: tensor(1, 2),
      x: tensor(1),
      y: tensor(1),
      z: tensor(1),
      zz: tensor(1),
    });
    const specs = [spec('a', 2, 1), spec('b', 1), spec('c', 1)];
    const error: Error = await loadParams(specs, path).then(
      () => expect.fail('must be refused'),
      (e) => e,
    );
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toBe(
      'the weights do not fit the model: 2 missing (b, c), 4 extra (x, y, z and 1 more), ' +
        `1 of another shape (a [2] not [2, 1]) — ${path} — use the config.json that belongs to these weights`,
    );
  });

  it('refuses NaN and infinite weights', async () => {
    const path = at('nan.safetensors');
    await writeSafetensors(path, {
      a: tensor(1, Number.NaN),
      b: tensor(0),
      c: tensor(Number.NEGATIVE_INFINITY),
    });
    await expect(loadParams([spec('a', 2), spec('b', 1), spec('c', 1)], path)).rejects.toThrow(
      /NaN or infinite weights in 2 of 3 tensors \(a, c\)/,
    );
  });

  it('refuses weights that are whole numbers', async () => {
    const path = at('ints.safetensors');
    await writeSafetensors(path, { a: { shape: [1], data: new Int32Array(1) } });
    await expect(loadParams([spec('a', 1)], path)).rejects.toThrow(/tensor a is I32, not floating point/);
  });

  it('knows the attention names and 1×1 shapes of old checkpoints', async () => {
    const path = at('old.safetensors');
    const old = (name: string, k: number) =>
      [
        `mid_block.attentions.0.${name}.weight`,
        { shape: [2, 1, 1, 1], data: new Float32Array([k, k]) },
      ] as const;
    await writeSafetensors(
      path,
      new Map([old('query', 1), old('key', 2), old('value', 3), old('proj_attn', 4)]),
    );
    const names = ['to_q', 'to_k', 'to_v', 'to_out.0'].map((n) => `mid_block.attentions.0.${n}.weight`);
    const flat = await loadParams(
      names.map((name) => spec(name, 2, 1)),
      path,
    );
    expect([...flat]).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
  });
});

it('reads the frequencies of Fourier features once, whichever of their names there is', async () => {
  const specs = [spec('time_proj.weight', 2)];
  for (const names of [['time_proj.W'], ['time_proj.W', 'time_proj.weight']]) {
    const path = at(`fourier-${names.length}.safetensors`);
    await writeSafetensors(path, Object.fromEntries(names.map((name) => [name, tensor(3, 4)])));
    expect([...(await loadParams(specs, path))]).toEqual([3, 4]);
  }
});

/** Attention layers were named so, and their projections were 1×1 convolutions, before diffusers 0.18. */
const OLD_NAMES = { to_q: 'query', to_k: 'key', to_v: 'value', 'to_out.0': 'proj_attn' };

it.each([
  ['unet-ddpm', (config: unknown) => unet2dSpecs(parseUNet2DConfig(config))],
  ['autoencoder-kl', (config: unknown) => autoencoderSpecs(parseAutoencoderConfig(config))],
  ['vq-group', (config: unknown) => vqSpecs(parseVQConfig(config))],
] as const)('a whole network under its old names: %s', async (name, specsFor) => {
  const folder = join(fixtures, '../models', name);
  const specs = specsFor(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')));
  const current = join(folder, 'diffusion_pytorch_model.safetensors');
  const { tensors } = await readSafetensors(current);
  let renamed = 0;
  const old = [...tensors].map(([key, { shape, data }]) => {
    const found = Object.entries(OLD_NAMES).find(([now]) => key.includes(`.${now}.`));
    if (!found) return [key, { shape, data }] as const;
    renamed++;
    const wide = shape.length === 2 ? [...shape, 1, 1] : shape;
    return [key.replace(...found), { shape: wide, data }] as const;
  });
  expect(renamed).toBeGreaterThanOrEqual(8);
  const path = at(`${name}.safetensors`);
  await writeSafetensors(path, new Map(old) as never);
  expect(await loadParams(specs, path)).toEqual(await loadParams(specs, current));
});

describe('saveParams', () => {
  it('gives back the bytes that diffusers wrote', async () => {
    const specs = await specsOf(pixelWeights);
    const path = at('again.safetensors');
    await saveParams(specs, await loadParams(specs, pixelWeights), path);
    expect((await readFile(path)).equals(await readFile(pixelWeights))).toBe(true);
  });

  it('halves: within half a unit in the last place', async () => {
    const specs = await specsOf(pixelWeights);
    const flat = await loadParams(specs, pixelWeights);
    for (const [dtype, unit] of [
      ['F16', 2 ** -11],
      ['BF16', 2 ** -8],
    ] as const) {
      const path = at(`${dtype}.safetensors`);
      await saveParams(specs, flat, path, dtype);
      const back = await loadParams(specs, path);
      const worst = flat.reduce((w, x, i) => Math.max(w, Math.abs(back[i] - x) - Math.abs(x) * unit), 0);
      expect(worst).toBeLessThan(2 ** -24); // subnormal halves have an absolute error
    }
  });

  it('refuses a vector of another length', async () => {
    await expect(saveParams([spec('a', 2)], new Float32Array(3), at('x.safetensors'))).rejects.toThrow(
      RangeError,
    );
  });
});
