import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatJson, parseJson } from '../../src/checkpoint/json.js';
import { loadParams } from '../../src/checkpoint/load.js';
import { readPipelineDir } from '../../src/checkpoint/pipeline.js';
import { type PipelineToWrite, writePipelineDir } from '../../src/checkpoint/write.js';
import { InputError } from '../../src/errors.js';
import { loadModel } from '../../src/pipelines/model.js';
import { fixtures, pixelWeights, specsOf, temporaryFolder } from './helpers.js';

const at = temporaryFolder();

async function pixels(): Promise<PipelineToWrite> {
  const { unet, scheduler } = await readPipelineDir(join(fixtures, 'pixels'));
  const specs = await specsOf(pixelWeights);
  const params = await loadParams(specs, pixelWeights);
  return { unet: { ...unet, weights: { specs, params } }, scheduler: scheduler! };
}

describe('readPipelineDir', () => {
  it('reads a pixel-space pipeline of diffusers', async () => {
    const p = await readPipelineDir(join(fixtures, 'pixels'));
    expect(p).toMatchObject({ className: 'DDPMPipeline', autoencoder: null, otherComponents: [], sumi: {} });
    expect(p.unet.className).toBe('UNet2DModel');
    expect(p.unet.config.block_out_channels).toEqual([8, 8]);
    expect(p.unet.weights).toBe(pixelWeights);
    expect(p.scheduler).toMatchObject({ className: 'DDIMScheduler', config: { num_train_timesteps: 1000 } });
  });

  it('reads latents, shards and Python’s infinities', async () => {
    const latents = await readPipelineDir(join(fixtures, 'latents'));
    expect(latents.autoencoder).toMatchObject({ folder: 'vqvae', className: 'AutoencoderKL' });
    const sharded = await readPipelineDir(join(fixtures, 'sharded'));
    expect(sharded.unet.weights).toMatch(/index\.json$/);
    expect(sharded.scheduler!.config.lambda_min_clipped).toBe(Number.NEGATIVE_INFINITY);
  });

  it('takes a UNet by itself, a folder without model_index.json, and a run', async () => {
    const bare = await readPipelineDir(join(fixtures, 'pixels/unet'));
    expect(bare).toMatchObject({ className: null, scheduler: null, unet: { className: 'UNet2DModel' } });

    await cp(join(fixtures, 'pixels/unet'), at('flat/unet'), { recursive: true });
    const flat = await readPipelineDir(at('flat'));
    expect(flat).toMatchObject({ className: null, scheduler: null, unet: { className: 'UNet2DModel' } });

    await cp(join(fixtures, 'pixels'), at('run/model'), { recursive: true });
    await writeFile(at('run/config.json'), '{}');
    expect((await readPipelineDir(at('run'))).dir).toBe(at('run/model'));
  });

  it('takes the flat layout, in which the first checkpoints were published, index or not', async () => {
    for (const file of ['config.json', 'diffusion_pytorch_model.safetensors'])
      await cp(join(fixtures, 'pixels/unet', file), at(`flat-indexed/${file}`));
    await cp(
      join(fixtures, 'pixels/scheduler/scheduler_config.json'),
      at('flat-indexed/scheduler_config.json'),
    );
    const nested = await readPipelineDir(join(fixtures, 'pixels'));
    const plain = await readPipelineDir(at('flat-indexed'));
    expect(plain).toMatchObject({ className: null, scheduler: nested.scheduler });
    await cp(join(fixtures, 'pixels/model_index.json'), at('flat-indexed/model_index.json'));
    const indexed = await readPipelineDir(at('flat-indexed'));
    expect(indexed).toEqual({
      ...nested,
      dir: at('flat-indexed'),
      unet: { ...nested.unet, weights: at('flat-indexed/diffusion_pytorch_model.safetensors') },
    });
    expect((await loadModel(at('flat-indexed'))).unetParams).toEqual(
      (await loadModel(join(fixtures, 'pixels'))).unetParams,
    );
  });

  it('prefers plain weights and falls back to a variant', async () => {
    await cp(join(fixtures, 'pixels'), at('variant'), { recursive: true });
    const folder = at('variant/unet');
    const plain = join(folder, 'diffusion_pytorch_model.safetensors');
    await cp(plain, join(folder, 'diffusion_pytorch_model.fp16.safetensors'));
    expect((await readPipelineDir(at('variant'))).unet.weights).toBe(plain);
    await rm(plain);
    expect((await readPipelineDir(at('variant'))).unet.weights).toMatch(/fp16\.safetensors$/);
  });

  it('says what a path is when it is no checkpoint', async () => {
    const refuse = async (path: string, message: RegExp) => {
      const error: Error = await readPipelineDir(path).then(
        () => expect.fail('must be refused'),
        (e) => e,
      );
      expect(error).toBeInstanceOf(InputError);
      expect(error.message).toMatch(message);
      expect(error.message).not.toContain('\n');
    };
    await refuse(at('nowhere'), /no such folder/);
    await refuse(pixelWeights, /a file where a checkpoint folder is needed/);
    await mkdir(at('empty'));
    await refuse(at('empty'), /neither model_index\.json nor unet\/config\.json/);
    await refuse(join(fixtures, 'latents/vqvae'), /AutoencoderKL alone/);

    const broken = async (name: string, index: string) => {
      await cp(join(fixtures, 'pixels'), at(name), { recursive: true });
      await writeFile(at(`${name}/model_index.json`), index);
      return at(name);
    };
    await refuse(await broken('json', '{"_class_name": '), /not JSON.*model_index\.json/);
    await refuse(await broken('classless', '{}'), /no _class_name/);
    const transformer = '{"_class_name":"DiTPipeline","transformer":["diffusers","X"],"unet":[null,null]}';
    await refuse(await broken('transformer', transformer), /DiTPipeline has no unet \(it has transformer\)/);

    await cp(join(fixtures, 'pixels'), at('pickled'), { recursive: true });
    await rename(
      at('pickled/unet/diffusion_pytorch_model.safetensors'),
      at('pickled/unet/diffusion_pytorch_model.bin'),
    );
    await refuse(at('pickled'), /pickle.*save_pretrained/);
    await rm(at('pickled/unet/diffusion_pytorch_model.bin'));
    await refuse(at('pickled'), /no weights/);
  });
});

describe('writePipelineDir', () => {
  it('writes what it reads', async () => {
    const sumi = { labels: ['cat', 'dog'], null_class: 2, ema_decay: 0.999 };
    await writePipelineDir(at('written'), { ...(await pixels()), sumi });
    const p = await readPipelineDir(at('written'));
    expect(p).toMatchObject({ className: 'DDIMPipeline', sumi, scheduler: { className: 'DDIMScheduler' } });
    expect((await readFile(p.unet.weights)).equals(await readFile(pixelWeights))).toBe(true);
    // Same release, same config (only the spelling of numbers differs: 0 for 0.0).
    const text = async (dir: string) => parseJson(await readFile(join(dir, 'unet/config.json'), 'utf8'));
    expect(await text(at('written'))).toEqual(await text(join(fixtures, 'pixels')));
  });

  it('copies an autoencoder as it is, shards and all', async () => {
    const { autoencoder } = await readPipelineDir(join(fixtures, 'latents'));
    const { unet } = await readPipelineDir(join(fixtures, 'sharded'));
    await writePipelineDir(at('latents'), { ...(await pixels()), unet, autoencoder: autoencoder! });
    const p = await readPipelineDir(at('latents'));
    expect(p.className).toBe('LDMPipeline');
    expect((await readFile(p.autoencoder!.weights)).equals(await readFile(autoencoder!.weights))).toBe(true);
    const specs = await specsOf(pixelWeights);
    expect(await loadParams(specs, p.unet.weights)).toEqual(await loadParams(specs, unet.weights));
  });

  it('replaces a checkpoint whole, or leaves it as it was', async () => {
    const pipeline = await pixels();
    await mkdir(at('place'));
    const dir = at('place/model');
    await writePipelineDir(dir, { ...pipeline, sumi: { step: 1 } });
    await writeFile(join(dir, 'stray.txt'), 'of the old one');
    await writePipelineDir(dir, { ...pipeline, sumi: { step: 2 } });
    expect((await readPipelineDir(dir)).sumi).toEqual({ step: 2 });
    expect(await readdir(dir)).not.toContain('stray.txt');

    const unet = { ...pipeline.unet, weights: at('missing.safetensors') };
    await expect(writePipelineDir(dir, { ...pipeline, unet, sumi: { step: 3 } })).rejects.toThrow();
    expect((await readPipelineDir(dir)).sumi).toEqual({ step: 2 });
    expect(await readdir(at('place'))).toEqual(['model']);
  });

  it('is found where a crash between two renames left it', async () => {
    await mkdir(at('crash'));
    const dir = at('crash/model');
    await writePipelineDir(dir, { ...(await pixels()), sumi: { step: 1 } });
    await rename(dir, at('crash/.model.old'));
    expect((await readPipelineDir(dir)).sumi).toEqual({ step: 1 });
    await writePipelineDir(dir, { ...(await pixels()), sumi: { step: 2 } });
    expect((await readPipelineDir(dir)).sumi).toEqual({ step: 2 });
    expect(await readdir(at('crash'))).toEqual(['model']);
  });

  it('sweeps what killed processes left, and only that', async () => {
    await mkdir(at('sweep'));
    const { hostname } = await import('node:os');
    const host = hostname().replaceAll(/[^\w.]/g, '');
    const dead = `.b.tmp-${host}-4194999-0123abcd`; // beyond Linux's largest process id
    const alive = `.b.tmp-${host}-${process.ppid}-0123abcd`;
    const elsewhere = '.b.tmp-otherhost-4194999-0123abcd';
    for (const name of [dead, alive, elsewhere]) await mkdir(at(`sweep/${name}`));
    await writePipelineDir(at('sweep/a'), await pixels());
    expect((await readdir(at('sweep'))).sort()).toEqual([alive, elsewhere, 'a'].sort());
  });

  it('refuses a place where a file is', async () => {
    await writeFile(at('file'), '');
    await expect(writePipelineDir(at('file'), await pixels())).rejects.toThrow(InputError);
  });
});

describe('JSON as Python has it', () => {
  it('keeps infinities, sorts keys, and leaves strings alone', () => {
    const text = formatJson({ b: [1, Number.NEGATIVE_INFINITY], a: 'Infinity, "NaN"', c: {}, d: undefined });
    expect(text).toBe(
      '{\n  "a": "Infinity, \\"NaN\\"",\n  "b": [\n    1,\n    -Infinity\n  ],\n  "c": {}\n}\n',
    );
    expect(parseJson(text)).toEqual({ a: 'Infinity, "NaN"', b: [1, Number.NEGATIVE_INFINITY], c: {} });
    expect(parseJson('[NaN, Infinity]')).toEqual([null, Number.POSITIVE_INFINITY]);
    expect(() => parseJson('[Infinityx]')).toThrow(SyntaxError);
  });
});
