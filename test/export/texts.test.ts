/** Exports of models that draw from texts, and of networks by themselves. */
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { openSafetensors } from '../../src/checkpoint/safetensors.js';
import { permuteData } from '../../src/engine/lower/context.js';
import { openFile } from '../../src/export/check.js';
import { exportDiffusers, exportOnnx } from '../../src/export/index.js';
import { DiffusionPipeline, loadModel } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { capture } from '../cli/capture.js';
import { writeStable } from '../pipelines/stable.js';
import { temporaryFolder } from '../pipelines/tiny.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const json = async (path: string) => JSON.parse(await readFile(path, 'utf8'));
const fixtures = join(import.meta.dirname, '../fixtures/models');

beforeAll(async () => {
  for (const name of ['sd1', 'sd2', 'paint'] as const) await writeStable(at(name), name);
}, 60_000);

describe('sumi export --to onnx of a model of texts', () => {
  it.each([
    ['sd1', 4, 16],
    ['sd2', 4, 20],
    ['paint', 9, 16],
  ] as const)('%s: four files that compute what Sumi does', async (name, channels, tokens) => {
    const out = at(`${name}-onnx`);
    const run = await sumi('export', '--model', at(name), '--out', out, '--json', '-q', '--threads', '1');
    expect(run).toMatchObject({ value: 0, stderr: '' });
    const { files, maxAbsDifference, size } = JSON.parse(run.stdout);
    expect(size).toEqual([32, 32]);
    expect(maxAbsDifference).toBeLessThan(2e-5);
    expect(files.map((f: { inputs: object; outputs: object }) => [f.inputs, f.outputs])).toEqual([
      [{ input_ids: ['batch', tokens] }, { last_hidden_state: ['batch', tokens, 32] }],
      [
        {
          sample: ['batch', channels, 4, 4],
          timestep: ['steps'],
          encoder_hidden_states: ['batch', tokens, 32],
        },
        { out_sample: ['batch', 4, 4, 4] },
      ],
      [{ sample: ['batch', 3, 32, 32] }, { latent_sample: ['batch', 4, 4, 4] }],
      [{ latent_sample: ['batch', 4, 4, 4] }, { sample: ['batch', 3, 32, 32] }],
    ]);
    expect((await readdir(out)).filter((file) => file.endsWith('.onnx')).sort()).toEqual([
      'text_encoder.onnx',
      'unet.onnx',
      'vae_decoder.onnx',
      'vae_encoder.onnx',
    ]);
    expect(await json(join(out, 'model_index.json'))).toMatchObject({
      text_encoder: ['transformers', 'CLIPTextModel'],
      tokenizer: ['transformers', 'CLIPTokenizer'],
      vae: ['diffusers', 'AutoencoderKL'],
    });
    expect(await readdir(join(out, 'tokenizer'))).toEqual(await readdir(at(name, 'tokenizer')));
    const bytes = (await readFile(join(out, 'unet.onnx'))).toString('latin1');
    for (const text of ['UNet2DConditionModel', 'prediction_type', 'tokens']) expect(bytes).toContain(text);
    expect((await readFile(join(out, 'text_encoder.onnx'))).toString('latin1')).toContain('CLIPTextModel');
  });

  it('leads from a text to a prediction as the pipeline does', async () => {
    const pipeline = await DiffusionPipeline.fromPretrained(at('sd1'), { threads: 1 });
    const ids = pipeline.model.text?.tokenizer.encode('a cat') as Int32Array;
    const noise = new Random(1).normal(2 * 4 * 4 * 4);
    const condition = { label: null, nullLabel: null, guidanceScale: 1, prompt: 'a cat' };
    const want = await pipeline.denoiser.predict(noise.subarray(0, 64), [4, 4], 7, condition);
    await pipeline.dispose();
    await exportOnnx(at('sd1'), at('chain'), { threads: 1 });
    const [text, unet] = await Promise.all(
      ['text_encoder', 'unet'].map((name) => openFile(at('chain', `${name}.onnx`), 1)),
    );
    const twice = BigInt64Array.from([...ids, ...ids], BigInt);
    const input_ids = { data: twice, shape: [2, 16], dtype: 'int64' as const };
    const { last_hidden_state: told } = await text.run({ input_ids });
    const { out_sample } = await unet.run({
      sample: { data: permuteData(noise, [2, 4, 4, 4], [0, 3, 1, 2]), shape: [2, 4, 4, 4], dtype: 'float32' },
      timestep: { data: Float32Array.of(7), shape: [1], dtype: 'float32' },
      encoder_hidden_states: { data: told.data, shape: [2, 16, 32], dtype: 'float32' },
    });
    const got = permuteData(out_sample.data as Float32Array, [2, 4, 4, 4], [0, 2, 3, 1]).subarray(0, 64);
    expect(Math.max(...want.map((v, i) => Math.abs(v - got[i])))).toBeLessThan(1e-5);
    await text.dispose();
    await unet.dispose();
  });

  it('takes half precision and a size of its own', async () => {
    const options = { dtype: 'fp16', size: [40, 24], threads: 1 } as const;
    const { files } = await exportOnnx(at('sd1'), at('sized'), options);
    expect(files[1].inputs.sample).toEqual(['batch', 4, 5, 3]);
    for (const { maxAbsDifference, rounding } of files) {
      expect(maxAbsDifference).toBeLessThan(2e-5);
      expect(rounding).toBeGreaterThan(1e-5);
      expect(rounding).toBeLessThan(0.05);
    }
  });
});

describe('sumi export --to diffusers of a model of texts', () => {
  it.each(['sd1', 'sd2', 'paint'] as const)('%s comes back the same', async (name) => {
    const out = at(`${name}-new`);
    const run = await sumi('export', '--model', at(name), '--to', 'diffusers', '--out', out, '-q', '--json');
    expect(run.value).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({
      maxAbsDifference: 0,
      leftOut: ['feature_extractor', 'safety_checker'],
      components: [
        { className: 'UNet2DConditionModel' },
        { path: join(out, 'vae'), className: 'AutoencoderKL' },
        { path: join(out, 'text_encoder'), className: 'CLIPTextModel' },
      ],
    });
    const [before, after] = [await loadModel(at(name)), await loadModel(out)];
    expect(after.unetParams).toEqual(before.unetParams);
    expect(after.text?.params).toEqual(before.text?.params);
    expect(after.text?.tokenizer.encode('a cat!')).toEqual(before.text?.tokenizer.encode('a cat!'));
    expect(after.scheduler).toEqual(before.scheduler);
    expect(await json(join(out, 'model_index.json'))).toMatchObject({
      _class_name: name === 'paint' ? 'StableDiffusionInpaintPipeline' : 'StableDiffusionPipeline',
      safety_checker: [null, null],
      requires_safety_checker: false,
    });
  });

  it('stores every network in half precision, and says so to transformers', async () => {
    await exportDiffusers(at('sd1'), at('half'), { dtype: 'fp16' });
    for (const file of [
      'unet/diffusion_pytorch_model',
      'vae/diffusion_pytorch_model',
      'text_encoder/model',
    ]) {
      const reader = await openSafetensors(at('half', `${file}.safetensors`));
      expect(new Set([...reader.tensors.values()].map((t) => t.dtype))).toEqual(new Set(['F16']));
      await reader.close();
    }
    expect(await json(at('half', 'text_encoder/config.json'))).toMatchObject({
      architectures: ['CLIPTextModel'],
      dtype: 'float16',
      hidden_size: 32,
      bos_token_id: 632,
    });
    // Its 1.0 would become 1, which transformers 5 refuses.
    expect((await json(at('sd1', 'text_encoder/config.json'))).initializer_factor).toBe(1);
    expect(await json(at('half', 'text_encoder/config.json'))).not.toHaveProperty('initializer_factor');
  });
});

describe('a network by itself', () => {
  const singles = [
    ['autoencoder-kl', 'AutoencoderKL', ['vae_encoder', 'vae_decoder']],
    ['vq-group', 'VQModel', ['vae_encoder', 'vae_decoder']],
    ['tiny-relu', 'AutoencoderTiny', ['vae_encoder', 'vae_decoder']],
    ['unet-ddpm', 'UNet2DModel', ['unet']],
    ['unet', 'UNet2DConditionModel', ['unet']],
    ['text_encoder', 'CLIPTextModel', ['text_encoder']],
  ] as const;
  const folder = (name: string) =>
    name === 'unet' || name === 'text_encoder' ? at('sd1', name) : join(fixtures, name);

  it.each(singles)('%s is exported', async (name, className, files) => {
    const onnx = await sumi('export', '--model', folder(name), '--out', at(`${name}-onnx`), '--json', '-q');
    expect(onnx.value).toBe(0);
    const report = JSON.parse(onnx.stdout);
    expect(report.files.map((f: { path: string }) => f.path)).toEqual(
      files.map((file) => at(`${name}-onnx`, `${file}.onnx`)),
    );
    for (const file of report.files)
      expect(file.differences.map((d: { batch: number }) => d.batch)).toEqual([1, 3]);
    expect(await readdir(at(`${name}-onnx`))).toContain('config.json');
    expect(report.size === null).toBe(className === 'CLIPTextModel');

    const again = await exportDiffusers(folder(name), at(`${name}-new`));
    expect(again).toMatchObject({
      components: [{ path: at(`${name}-new`), className }],
      maxAbsDifference: 0,
    });
    const weights = name === 'text_encoder' ? 'model.safetensors' : 'diffusion_pytorch_model.safetensors';
    expect((await readdir(at(`${name}-new`))).sort()).toEqual(['config.json', weights]);
    const described = await sumi('inspect', at(`${name}-new`));
    expect(described).toMatchObject({ value: 0, stderr: '' });
    expect(described.stdout).toContain(`-new: ${className} by itself`);
  });

  it('is refused when it is no good', async () => {
    await mkdir(at('bad'));
    const bad = async (name: string, change: (dir: string) => Promise<unknown>) => {
      await cp(folder('vq-group'), at('bad', name), { recursive: true });
      await change(at('bad', name));
      return at('bad', name);
    };
    const weights = 'diffusion_pytorch_model.safetensors';
    for (const [dir, message] of [
      [await bad('no-weights', (dir) => rm(join(dir, weights))), /^sumi: no weights: .*is missing — /],
      [
        await bad('pickle', async (dir) => {
          await rm(join(dir, weights));
          await writeFile(join(dir, 'diffusion_pytorch_model.bin'), 'x');
        }),
        /^sumi: a PyTorch pickle, /,
      ],
      [await bad('not-json', (dir) => writeFile(join(dir, 'config.json'), '{')), /^sumi: not JSON /],
      [
        await bad('other', (dir) => writeFile(join(dir, 'config.json'), '{"_class_name": "AutoencoderDC"}')),
        /^sumi: a AutoencoderDC is not supported — /,
      ],
      [
        await bad('cut', async (dir) => {
          const bytes = await readFile(join(dir, weights));
          await writeFile(join(dir, weights), bytes.subarray(0, bytes.length - 8));
        }),
        /^sumi: /,
      ],
    ] as const) {
      for (const to of ['onnx', 'diffusers']) {
        const run = await sumi('export', '--model', dir, '--to', to, '--out', at('bad', 'out'), '-q');
        expect(run).toMatchObject({ value: 2, stdout: '' });
        expect(run.stderr).toMatch(message);
        expect(run.stderr).toMatch(/^sumi: [^\n]+ — [^\n]+ — [^\n]+\n$/);
      }
    }
    await expect(stat(at('bad', 'out'))).rejects.toThrow();
    const sized = await sumi('export', '--model', folder('text_encoder'), '--size', '8', '--out', at('x'));
    expect(sized.stderr).toMatch(/^sumi: a text encoder has no size — --size — leave it out\n$/);
  });
});
