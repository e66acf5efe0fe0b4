/** `sumi export --to diffusers`: whatever form a checkpoint had, it has today's afterwards, and the same weights. */
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import {
  openSafetensors,
  readSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from '../../src/checkpoint/safetensors.js';
import { exportDiffusers } from '../../src/export/index.js';
import { loadModel } from '../../src/pipelines/index.js';
import { capture } from '../cli/capture.js';
import { labelled, latent, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const WEIGHTS = 'diffusion_pytorch_model.safetensors';
const json = async (path: string) => JSON.parse(await readFile(path, 'utf8'));

/** What diffusers called attention layers before 0.18, block types in its first releases, and two shards. */
async function makeOld(dir: string): Promise<void> {
  await cp(at('labelled'), dir, { recursive: true });
  const { tensors } = await readSafetensors(join(dir, 'unet', WEIGHTS));
  const before = (name: string) =>
    name
      .replace(/(attentions\.\d+)\.to_q\./, '$1.query.')
      .replace(/(attentions\.\d+)\.to_k\./, '$1.key.')
      .replace(/(attentions\.\d+)\.to_v\./, '$1.value.')
      .replace(/(attentions\.\d+)\.to_out\.0\./, '$1.proj_attn.');
  const old = [...tensors].map(([name, t]): [string, TensorToWrite] => [before(name), t]);
  const half = Math.floor(old.length / 2);
  const map: Record<string, string> = {};
  for (const [i, part] of [old.slice(0, half), old.slice(half)].entries()) {
    const file = `diffusion_pytorch_model-0000${i + 1}-of-00002.safetensors`;
    await writeSafetensors(join(dir, 'unet', file), new Map(part));
    for (const [name] of part) map[name] = file;
  }
  await rm(join(dir, 'unet', WEIGHTS));
  await writeFile(join(dir, 'unet', `${WEIGHTS}.index.json`), JSON.stringify({ weight_map: map }));
  const config = await json(join(dir, 'unet/config.json'));
  config.down_block_types = config.down_block_types.map((type: string) => `UNetRes${type}`);
  await writeFile(join(dir, 'unet/config.json'), JSON.stringify(config));
}

beforeAll(async () => {
  await writeTiny(at('labelled'), labelled);
  await writeTiny(at('latent'), latent);
  await makeOld(at('old'));
}, 60_000);

describe('sumi export --to diffusers', () => {
  it('gives old names, old blocks and shards today’s form', async () => {
    const out = at('new');
    const { value, stdout, stderr } = await sumi(
      ...['export', '--model', at('old'), '--to', 'diffusers', '--out', out],
    );
    expect(stderr).toContain('weights in fp32, read back');
    expect(value).toBe(0);
    expect(stdout).toMatch(/^.*new.unet {2}UNet2DModel, \S+ k parameters, rounded by 0\n$/);
    expect((await readdir(join(out, 'unet'))).sort()).toEqual(['config.json', WEIGHTS]);
    const reader = await openSafetensors(join(out, 'unet', WEIGHTS));
    const names = [...reader.tensors.keys()];
    await reader.close();
    expect(names.filter((name) => /\.(query|key|value|proj_attn)\./.test(name))).toEqual([]);
    expect(names.filter((name) => name.includes('.to_q.')).length).toBeGreaterThan(0);
    expect((await json(join(out, 'unet/config.json'))).down_block_types).toEqual([
      'DownBlock2D',
      'AttnDownBlock2D',
    ]);
    expect((await json(join(out, 'sumi.json'))).labels).toEqual(['ant', 'bee', 'cat']);
    const [before, after] = [await loadModel(at('labelled')), await loadModel(out)];
    expect(after.unetParams).toEqual(before.unetParams);
  });

  it.each([
    ['fp16', 'F16', 1e-5, 1e-3],
    ['bf16', 'BF16', 1e-4, 1e-2],
  ] as const)('stores %s, and says what that changed', async (dtype, stored, least, most) => {
    const made = await exportDiffusers(at('latent'), at(dtype), { dtype });
    expect(made.components.map((c) => [c.path, c.className])).toEqual([
      [at(dtype, 'unet'), 'UNet2DModel'],
      [at(dtype, 'vqvae'), 'AutoencoderKL'],
    ]);
    for (const { path } of made.components) {
      const reader = await openSafetensors(join(path, WEIGHTS));
      expect(new Set([...reader.tensors.values()].map((t) => t.dtype))).toEqual(new Set([stored]));
      await reader.close();
    }
    expect(made.maxAbsDifference).toBeGreaterThan(least);
    expect(made.maxAbsDifference).toBeLessThan(most);
    // And back: what half precision holds, float32 holds.
    const back = await exportDiffusers(at(dtype), at(`${dtype}-back`));
    expect(back.maxAbsDifference).toBe(0);
  });

  it('takes the model of a run', async () => {
    await mkdir(at('run'));
    await writeFile(at('run', 'config.json'), '{}');
    await cp(at('latent'), at('run', 'model'), { recursive: true });
    await writeFile(at('run', 'model', 'LICENSE'), 'free');
    const { value, stdout } = await sumi(
      ...['export', '--model', at('run'), '--to', 'diffusers', '--out', at('from-run'), '--json'],
    );
    expect(value).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ to: 'diffusers', dtype: 'fp32', maxAbsDifference: 0 });
    expect((await readdir(at('from-run'))).sort()).toEqual([
      'LICENSE',
      'model_index.json',
      'scheduler',
      'unet',
      'vqvae',
    ]);
  });

  it('names what it leaves out', async () => {
    await cp(at('latent'), at('more'), { recursive: true });
    const index = await json(at('more', 'model_index.json'));
    index.safety_checker = ['stable_diffusion', 'StableDiffusionSafetyChecker'];
    await writeFile(at('more', 'model_index.json'), JSON.stringify(index));
    const { value, stderr } = await sumi(
      ...['export', '--model', at('more'), '--to', 'diffusers', '--out', at('less'), '-q'],
    );
    expect([value, stderr.includes('left out — safety_checker')]).toEqual([0, true]);
  });

  it('leaves nothing behind when the weights are wrong', async () => {
    await writeTiny(at('huge'), { ...labelled, scale: 1e6 });
    await cp(at('latent'), at('broken'), { recursive: true });
    const { tensors } = await readSafetensors(at('broken', 'unet', WEIGHTS));
    tensors.delete('conv_in.bias');
    await writeSafetensors(at('broken', 'unet', WEIGHTS), tensors);
    await mkdir(at('bad'));
    for (const [model, message] of [
      ['huge', /^sumi: a weight of \S+ is too large for F16 — tensor /],
      ['broken', /^sumi: the weights do not fit the model: 1 missing \(conv_in\.bias\) — /],
    ] as const) {
      const { value, stderr } = await sumi(
        ...[
          'export',
          '--model',
          at(model),
          '--to',
          'diffusers',
          '--dtype',
          'fp16',
          '--out',
          at('bad', 'out'),
        ],
      );
      expect(stderr).toMatch(message);
      expect(value).toBe(2);
    }
    expect(await readdir(at('bad'))).toEqual([]);
  });
});
