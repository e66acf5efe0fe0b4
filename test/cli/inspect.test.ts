import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { saveState, stateDir } from '../../src/checkpoint/state.js';
import { encodePng } from '../../src/image/encode.js';
import { capture } from './capture.js';

const fixtures = join(import.meta.dirname, '../fixtures/checkpoint');
const run = (...argv: string[]) => capture(() => main(['inspect', ...argv], commands));
const json = async (path: string) => {
  const { value, stdout, stderr } = await run(path, '--json');
  expect({ value, stderr }).toEqual({ value: 0, stderr: '' });
  return JSON.parse(stdout);
};

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sumi-inspect-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('sumi inspect', () => {
  it('describes a checkpoint', async () => {
    const path = join(dir, 'labelled');
    await cp(join(fixtures, 'latents'), path, { recursive: true });
    await writeFile(join(path, 'sumi.json'), '{"labels":["cat","dog"],"recipe":{"steps":100}}');
    const found = await json(path);
    expect(found).toMatchObject({
      kind: 'checkpoint',
      className: 'LDMPipeline',
      components: {
        unet: {
          className: 'UNet2DModel',
          weights: { tensors: 142, parameters: 18811, dtypes: { F32: 18811 } },
        },
        vqvae: { className: 'AutoencoderKL' },
      },
      scheduler: { className: 'DDIMScheduler' },
      sumi: { labels: ['cat', 'dog'] },
    });
    expect(found.parameters).toBe(18811 + found.components.vqvae.weights.parameters);
    expect(found.bytes).toBe(138808);
    const { stdout } = await run(path);
    expect(stdout).toMatch(/unet\s+UNet2DModel\s+18\.8 k parameters in 142 tensors, F32, 88\.9 kB/);
    expect(stdout).toMatch(/labels\s+\["cat","dog"\]/);
    expect(stdout).toMatch(/recipe\.steps\s+100/);
  });

  // 75244 bytes of float32, as the index says itself.
  it('counts shards once', async () => {
    const found = await json(join(fixtures, 'sharded'));
    expect(found.components.unet.weights).toMatchObject({
      tensors: 142,
      parameters: 18811,
      bytes: 36256 + 32376 + 20276,
    });
  });

  it('lists the tensors of a weights file', async () => {
    const found = await json(join(fixtures, 'dtypes.safetensors'));
    expect(found).toMatchObject({ kind: 'weights', tensors: 10, metadata: { format: 'pt' } });
    expect(found.table).toContainEqual({ name: 'floats.bf16', dtype: 'BF16', shape: [7, 9] });
    expect((await run(join(fixtures, 'dtypes.safetensors'))).stdout).toMatch(
      /floats\.bf16\s+BF16\s+\[7, 9\]/,
    );
  });

  it('describes a run, even one that was killed in the middle of a line', async () => {
    const path = join(dir, 'run');
    await mkdir(path);
    await writeFile(join(path, 'config.json'), '{"preset":"tiny","size":16}');
    await writeFile(join(path, 'metrics.jsonl'), '{"step":1,"loss":1}\n{"step":2,"loss":0.5}\n{"step":3,"lo');
    expect(await json(path)).toMatchObject({
      kind: 'run',
      lastMetrics: { step: 2 },
      checkpoints: [],
      model: null,
    });
    await saveState(stateDir(path, 2), { arrays: { params: new Float32Array(8) }, counters: { step: 2 } });
    await cp(join(fixtures, 'pixels'), join(path, 'model'), { recursive: true });
    const found = await json(path);
    expect(found).toMatchObject({
      config: { preset: 'tiny' },
      checkpoints: [{ step: 2 }],
      model: { className: 'DDPMPipeline' },
    });
    expect((await run(path)).stdout).toMatch(/last metrics\n\s+step\s+2/);

    const state = stateDir(path, 2);
    expect(await json(state)).toMatchObject({ kind: 'state', arrays: { params: 8 }, counters: { step: 2 } });
    await appendFile(join(state, 'state.safetensors'), 'x');
    expect(await run(state)).toMatchObject({
      value: 2,
      stderr: expect.stringMatching(/damaged training state/),
    });
  });

  it('reads the recipe of a picture', async () => {
    const picture = { width: 1, height: 1, data: new Uint8Array(3) };
    await writeFile(join(dir, 'x.png'), await encodePng(picture, { seed: 5, scheduler: 'ddim' }));
    expect(await json(join(dir, 'x.png'))).toMatchObject({ kind: 'picture', recipe: { seed: 5 } });
    expect((await run(join(dir, 'x.png'))).stdout).toMatch(/seed\s+5/);
    await writeFile(join(dir, 'plain.png'), await encodePng(picture));
    expect(await run(join(dir, 'plain.png'))).toMatchObject({
      value: 2,
      stderr: expect.stringMatching(/without a recipe/),
    });
  });

  it('refuses everything else in one line', async () => {
    await writeFile(join(dir, 'notes.txt'), 'hello');
    await writeFile(join(dir, 'bad.safetensors'), 'hello world');
    await mkdir(join(dir, 'nothing'));
    for (const [path, message] of [
      ['notes.txt', /neither weights nor a picture/],
      ['bad.safetensors', /not a usable safetensors file/],
      ['nothing', /no checkpoint/],
      ['absent', /no such file or folder/],
    ] as const) {
      const { value, stdout, stderr } = await run(join(dir, path), '--json');
      expect([value, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^sumi: [^\n]*\n$/);
      expect(stderr).toMatch(message);
    }
  });

  it('does not let a file’s names reach the terminal raw', async () => {
    const header = JSON.stringify({ 'a\u001b[31m\n': { dtype: 'U8', shape: [1], data_offsets: [0, 1] } });
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(header.length));
    await writeFile(
      join(dir, 'evil.safetensors'),
      Buffer.concat([prefix, Buffer.from(header), Buffer.alloc(1)]),
    );
    const { stdout } = await run(join(dir, 'evil.safetensors'));
    expect(stdout).not.toContain('\u001b');
    expect(await readFile(join(dir, 'evil.safetensors'), 'utf8')).toContain('\\u001b');
  });
});
