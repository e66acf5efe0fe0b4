/** `sumi export --to onnx`, from a checkpoint to a folder that other programs open. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { permuteData } from '../../src/engine/lower/context.js';
import { openFile } from '../../src/export/check.js';
import { exportOnnx } from '../../src/export/index.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { capture } from '../cli/capture.js';
import { labelled, latent, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const json = async (path: string) => JSON.parse(await readFile(path, 'utf8'));

beforeAll(async () => {
  await writeTiny(at('labelled'), labelled);
  await writeTiny(at('latent'), latent);
  await writeFile(
    at('latent', 'README.md'),
    '---\ntags: [a]\nlicense: "cc-by-4.0"   # as the data\n---\n# A model\nlicense: no\n',
  );
}, 60_000);

describe('sumi export --to onnx', () => {
  it('writes the files, what belongs beside them, and how far they are from Sumi', async () => {
    const out = at('onnx');
    const { value, stdout } = await sumi('export', '--model', at('latent'), '--out', out, '--json', '-q');
    expect(value).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      model: at('latent'),
      to: 'onnx',
      out,
      opset: 18,
      dtype: 'fp32',
      size: [16, 16],
      licence: 'cc-by-4.0',
    });
    expect(report.files.map((f: { path: string }) => f.path)).toEqual(
      ['unet', 'vae_encoder', 'vae_decoder'].map((name) => join(out, `${name}.onnx`)),
    );
    for (const file of report.files) {
      expect(file.bytes).toBe((await stat(file.path)).size);
      expect(file.differences.map((d: { batch: number }) => d.batch)).toEqual([1, 3]);
      expect(file.maxAbsDifference).toBeLessThan(1e-4);
    }
    expect(report.maxAbsDifference).toBe(
      Math.max(...report.files.map((f: { maxAbsDifference: number }) => f.maxAbsDifference)),
    );
    expect((await readdir(out)).sort()).toEqual([
      'README.md',
      'model_index.json',
      'scheduler',
      'sumi.json',
      'unet',
      'unet.onnx',
      'vae_decoder.onnx',
      'vae_encoder.onnx',
      'vqvae',
    ]);
    expect(await json(join(out, 'vqvae/config.json'))).toMatchObject({
      _class_name: 'AutoencoderKL',
      scaling_factor: 0.5,
    });
    expect((await json(join(out, 'model_index.json'))).vqvae).toEqual(['diffusers', 'AutoencoderKL']);
    expect((await json(join(out, 'scheduler/scheduler_config.json')))._class_name).toBe('DDIMScheduler');
    const bytes = await readFile(join(out, 'vae_decoder.onnx'), 'latin1');
    for (const text of ['cc-by-4.0', 'prediction_type', 'epsilon', 'scaling_factor', '[16,16]', 'sumi 0.'])
      expect(bytes).toContain(text);
    expect(bytes).not.toContain('com.microsoft');
  });

  it('says in text what it says in JSON', async () => {
    const { value, stdout, stderr } = await sumi('export', '--model', at('labelled'), '--out', at('text'));
    expect(value).toBe(0);
    expect(stdout).toMatch(/^.*unet\.onnx {2}\d.* kB, off by \S+e-7 from Sumi\n$/);
    expect(stderr).toContain('opset 18, pictures of 16×16, tried with batches of 1 and 3');
    expect((await json(at('text', 'sumi.json'))).labels).toEqual(['ant', 'bee', 'cat']);
  });

  it('decodes as the pipeline does, once the scaling is applied', async () => {
    await exportOnnx(at('latent'), at('decode'), { threads: 1 });
    const { scaling_factor } = await json(at('decode', 'vqvae/config.json'));
    const opened = await openFile(at('decode', 'vae_decoder.onnx'), 1);
    const latents = new Random(4).normal(8 * 8 * 4);
    const { sample } = await opened.run({
      latent_sample: {
        shape: [1, 4, 8, 8],
        dtype: 'float32',
        data: permuteData(latents, [1, 8, 8, 4], [0, 3, 1, 2]).map((v) => v / scaling_factor),
      },
    });
    await opened.dispose();
    const pipeline = await DiffusionPipeline.fromPretrained(at('latent'), { threads: 1 });
    const want = await pipeline.codec.decode(latents, [8, 8]);
    await pipeline.dispose();
    const got = permuteData(sample.data, [1, 3, 16, 16], [0, 2, 3, 1]);
    expect(Math.max(...want.map((v, i) => Math.abs(v - got[i])))).toBeLessThan(1e-5);
  });

  it('takes a size of its own', async () => {
    const made = await exportOnnx(at('latent'), at('sized'), { size: [32, 16], threads: 1 });
    expect(made.files[2].outputs).toEqual({ sample: ['batch', 3, 32, 16] });
    expect((await json(at('sized', 'unet/config.json'))).sample_size).toEqual([16, 8]);
  });

  it('halves the weights with fp16, and says what that changed', async () => {
    const full = await exportOnnx(at('labelled'), at('full'), { threads: 1 });
    const half = await exportOnnx(at('labelled'), at('half'), { dtype: 'fp16', threads: 1 });
    expect(half.files[0].bytes).toBeLessThan(0.75 * full.files[0].bytes);
    expect(half.files[0].maxAbsDifference).toBeLessThan(1e-5);
    expect(full.files[0].rounding).toBeNull();
    expect(half.files[0].rounding).toBeGreaterThan(1e-5);
    expect(half.files[0].rounding).toBeLessThan(0.05);
  });
});

describe('an export that fails', () => {
  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'a difference',
      () => exportOnnx(at('labelled'), at('bad', 'out'), { tolerance: -1, threads: 1 }),
      /^the file computes something else: off by \S+ in a batch of 1, -1 is allowed — unet\.onnx — /,
    ],
    [
      'a file too large',
      () => exportOnnx(at('labelled'), at('bad', 'out'), { maxBytes: 10_000 }),
      /^\S+ GB of weights, and an ONNX file holds \S+ — unet\.onnx — use --dtype fp16/,
    ],
    [
      'a stop',
      () => exportOnnx(at('labelled'), at('bad', 'out'), { signal: AbortSignal.abort(new Error('stopped')) }),
      /^stopped$/,
    ],
  ])('by %s leaves nothing behind', async (_, run, message) => {
    await mkdir(at('bad'), { recursive: true });
    await expect(run()).rejects.toThrow(message);
    expect(await readdir(at('bad'))).toEqual([]);
  });

  it('is one line and exit code 2 where the input is wrong', async () => {
    await writeTiny(at('huge'), { ...labelled, scale: 1e6 });
    await mkdir(at('taken'));
    await writeFile(at('taken', 'mine.txt'), 'mine');
    await writeFile(at('file'), '');
    for (const [argv, message] of [
      [['--model', at('none'), '--out', at('x')], /^sumi: no model .* — --model — name a folder/],
      [['--model', at('latent'), '--out', at('taken')], /^sumi: the folder is not empty — .*taken — /],
      [['--model', at('latent'), '--out', at('file')], /^sumi: a file is where a folder/],
      [
        ['--model', at('latent'), '--out', at('x'), '--size', '33'],
        /^sumi: a side of 33 is not possible — --size/,
      ],
      [['--model', at('latent'), '--out', at('x'), '--size', '0'], /^sumi: a side of 0 is not possible/],
      [['--model', at('labelled'), '--out', at('x'), '--size', '15'], /^sumi: size 15×15 does not halve/],
      [['--model', at('latent'), '--out', at('x'), '--dtype', 'bf16'], /^sumi: ONNX files take fp32 or fp16/],
      [['--model', at('latent'), '--out', at('x'), '--threads', '0'], /^sumi: 0 is not possible — --threads/],
      [
        ['--model', at('latent'), '--out', at('x'), '--to', 'diffusers', '--size', '8'],
        /keeps its size — --size/,
      ],
      [
        ['--model', at('huge'), '--out', at('x'), '--dtype', 'fp16'],
        /too large for half precision — .*huge.*unet — /,
      ],
      [['--model', at('latent')], /^sumi: missing --out/],
      [['--model', at('latent'), '--out', at('x'), '--to', 'gguf'], /--to "gguf" \(choose from/],
    ] as const) {
      const { value, stdout, stderr } = await sumi('export', ...argv, '--quiet');
      expect(stderr).toMatch(message);
      expect(stderr.trimEnd()).not.toContain('\n');
      expect([value, stdout]).toEqual([2, '']);
    }
    expect(await readdir(at('taken'))).toEqual(['mine.txt']);
    await expect(stat(at('x'))).rejects.toThrow();
  });
});
