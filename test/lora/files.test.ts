/** LoRA files of every spelling, and those that do not fit. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type TensorToWrite, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { InputError } from '../../src/errors.js';
import { type LoraNetwork, mergeLoras, readLora } from '../../src/lora/index.js';
import { temporaryFolder } from '../pipelines/tiny.js';

const at = temporaryFolder();
const init = { constant: 0 };
const QUERY = 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight';
const OUT = 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.weight';
const CONV = 'down_blocks.0.resnets.0.conv1.weight';
const TEXT = 'text_model.encoder.layers.0.self_attn.q_proj.weight';
const unet = [
  { name: QUERY, shape: [3, 2], init },
  { name: OUT, shape: [3, 2], init },
  { name: CONV, shape: [2, 2, 3, 3], init },
  { name: 'conv_norm_out.weight', shape: [2], init },
];
const text = [{ name: TEXT, shape: [3, 2], init }];
const targets = { unet, text_encoder: text };

const tensor = (shape: number[], first = 1): TensorToWrite => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => first + i),
});
const pair = (module: string, down: string, up: string, rank = 1): [string, TensorToWrite][] => [
  [module + down, tensor([rank, 2])],
  [module + up, tensor([3, rank])],
];
async function file(name: string, entries: [string, TensorToWrite][], metadata?: Record<string, string>) {
  const path = at(`${name}.safetensors`);
  await writeSafetensors(path, new Map(entries), { metadata });
  return path;
}

describe('names', () => {
  const module = QUERY.replace(/\.weight$/, '');
  const processor = module.replace('attn1.', 'attn1.processor.');
  const flat = `lora_unet_${module.replaceAll('.', '_')}`;
  it.each<[string, string, string, string, string]>([
    ['PEFT', `unet.${module}`, '.lora_A.weight', '.lora_B.weight', QUERY],
    ['PEFT by itself', `base_model.model.${module}`, '.lora_A.weight', '.lora_B.weight', QUERY],
    ['PEFT, adapter named', module, '.lora_A.default.weight', '.lora_B.default.weight', QUERY],
    ['kohya-ss', flat, '.lora_down.weight', '.lora_up.weight', QUERY],
    ['diffusers', `unet.${module}`, '.lora.down.weight', '.lora.up.weight', QUERY],
    ['processors', `unet.${processor}`, '_lora.down.weight', '_lora.up.weight', QUERY],
    ['processors alone', processor, '_lora.down.weight', '_lora.up.weight', QUERY],
    [
      'processors, the way out',
      `unet.${processor.replace('to_q', 'to_out')}`,
      '_lora.down.weight',
      '_lora.up.weight',
      OUT,
    ],
    [
      'text of kohya-ss',
      'lora_te_text_model_encoder_layers_0_self_attn_q_proj',
      '.lora_down.weight',
      '.lora_up.weight',
      TEXT,
    ],
    [
      'text of kohya-ss, numbered',
      'lora_te1_text_model_encoder_layers_0_self_attn_q_proj',
      '.lora_down.weight',
      '.lora_up.weight',
      TEXT,
    ],
    [
      'text of transformers 5',
      'text_encoder.encoder.layers.0.self_attn.q_proj',
      '.lora_A.weight',
      '.lora_B.weight',
      TEXT,
    ],
    [
      'text of diffusers',
      'text_encoder.text_model.encoder.layers.0.self_attn.q_proj',
      '.lora_linear_layer.down.weight',
      '.lora_linear_layer.up.weight',
      TEXT,
    ],
    [
      'text of processors',
      'text_encoder.text_model.encoder.layers.0.self_attn.to_q',
      '_lora.down.weight',
      '_lora.up.weight',
      TEXT,
    ],
  ])('of %s', async (name, module, down, up, parameter) => {
    const [layer, ...more] = await readLora(await file(name, pair(module, down, up)), targets);
    expect(more).toEqual([]);
    expect(layer).toMatchObject({ parameter, rank: 1, factor: 1 });
    expect([...layer.up, ...layer.down]).toEqual([1, 2, 3, 1, 2]);
  });
});

describe('what is added', () => {
  const params = (specs: typeof unet): LoraNetwork => ({
    specs,
    params: new Float32Array(specs.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0)).fill(1),
  });
  const peft = (rank = 1) =>
    pair(`unet.${QUERY.replace(/\.weight$/, '')}`, '.lora_A.weight', '.lora_B.weight', rank);
  const kohya = `lora_unet_${QUERY.replace(/\.weight$/, '').replaceAll('.', '_')}`;

  it('is the product of both halves by alpha over rank and the scale', async () => {
    const entries = pair(kohya, '.lora_down.weight', '.lora_up.weight', 2);
    entries.push([`${kohya}.alpha`, { shape: [], data: Float32Array.of(4) }]);
    const network = params(unet);
    const [merged] = await mergeLoras({ unet: network, text_encoder: null }, [
      { path: await file('alpha', entries), scale: 0.5 },
    ]);
    // [[1,2],[3,4],[5,6]] · [[1,2],[3,4]], times 0.5 · 4 / 2, and 1.
    expect([...network.params.subarray(0, 6)]).toEqual([8, 11, 16, 23, 24, 35]);
    expect(network.params.subarray(6).every((v) => v === 1)).toBe(true);
    expect(merged).toMatchObject({ scale: 0.5, layers: { unet: 1, text_encoder: 0 }, ranks: [2, 2] });
  });

  it('is of a convolution, too', async () => {
    const module = `unet.${CONV.replace(/\.weight$/, '')}`;
    const path = await file('conv', [
      [`${module}.lora_A.weight`, tensor([1, 2, 3, 3], 0)],
      [`${module}.lora_B.weight`, tensor([2, 1, 1, 1], 1)],
    ]);
    const network = params(unet);
    await mergeLoras({ unet: network, text_encoder: null }, [{ path }, { path, scale: 2 }]);
    const conv = network.params.subarray(12, 48);
    expect([...conv]).toEqual(Array.from({ length: 36 }, (_, i) => 1 + 3 * (i % 18) * (i < 18 ? 1 : 2)));
  });

  it.each<[string, Record<string, unknown>, number]>([
    ['alpha', { 'unet.lora_alpha': 3, 'unet.r': 2 }, 1.5],
    ['a pattern of its own', { 'unet.lora_alpha': 3, 'unet.alpha_pattern': { 'attn1.to_q': 1 } }, 0.5],
    ['patterns of others', { 'unet.lora_alpha': 3, 'unet.alpha_pattern': { o_q: 1, to_k: 5 } }, 1.5],
    ['a pattern that is no expression', { 'unet.alpha_pattern': { '(': 5 } }, 1],
    ['the root of the rank', { 'unet.lora_alpha': 3, 'unet.use_rslora': true }, 3 / Math.SQRT2],
    ['another network’s settings', { 'text_encoder.lora_alpha': 9 }, 1],
  ])('follows the header: %s', async (name, header, factor) => {
    const metadata = { lora_adapter_metadata: JSON.stringify(header) };
    const [layer] = await readLora(await file(name.replaceAll(' ', '-'), peft(2), metadata), targets);
    expect(layer.factor).toBeCloseTo(factor, 12);
  });

  it('follows PEFT’s own configuration, and a folder stands for its file', async () => {
    await mkdir(at('peft'));
    await writeSafetensors(at('peft', 'adapter_model.safetensors'), new Map(peft(2)));
    await writeFile(at('peft', 'adapter_config.json'), '{"peft_type": "LORA", "lora_alpha": 8, "r": 2}');
    expect((await readLora(at('peft'), targets))[0].factor).toBe(4);
  });

  it('is nothing when one of several files does not fit', async () => {
    const network = params(unet);
    const strange = await file('strange', [['unet.elsewhere.lora_A.weight', tensor([1, 2])]]);
    const files = [{ path: await file('good', peft()) }, { path: strange }];
    await expect(mergeLoras({ unet: network, text_encoder: null }, files)).rejects.toThrow(InputError);
    expect(network.params.every((v) => v === 1)).toBe(true);
  });
});

describe('is refused in one line', () => {
  const module = `unet.${QUERY.replace(/\.weight$/, '')}`;
  const [down, up] = [`${module}.lora_A.weight`, `${module}.lora_B.weight`];
  const good = pair(module, '.lora_A.weight', '.lora_B.weight');
  it.each<[string, [string, TensorToWrite][], RegExp, Record<string, string>?]>([
    [
      'keys that match nothing',
      [...good, ['unet.a.lora_A.weight', tensor([1, 2])], ['x.y', tensor([1])]],
      /^2 of 4 keys belong to nothing in the model \((unet\.a\.lora_A\.weight, x\.y|x\.y, unet\.a\.lora_A\.weight)\) — .* — use a LoRA that was made/,
    ],
    [
      'a layer that has no weight of two axes',
      pair('unet.conv_norm_out', '.lora_A.weight', '.lora_B.weight'),
      /belong to nothing/,
    ],
    [
      'Stable Diffusion XL',
      pair('lora_te2_x', '.lora_down.weight', '.lora_up.weight'),
      /for Stable Diffusion XL/,
    ],
    ['LoHa', [['lora_unet_x.hada_w1_a', tensor([1])]], /only plain LoRA is supported/],
    ['DoRA', [...good, [`${module}.lora_magnitude_vector`, tensor([3])]], /DoRA weights are not supported/],
    ['half a pair', [good[0]], /^1 layers of which a half is missing \(unet\.down_blocks/],
    ['an alpha alone', [[`${module}.alpha`, tensor([1])]], /half is missing/],
    [
      'two of one',
      [...good, [`${down.replace('unet.', 'base_model.model.')}`, tensor([1, 2])]],
      /are the same —/,
    ],
    [
      'another width',
      [[down, tensor([1, 5])], good[1]],
      /^\[3, 1\] times \[1, 5\] is no change of down_blocks\.\S+ \[3, 2\]/,
    ],
    ['ranks that differ', [[down, tensor([2, 2])], good[1]], /is no change of/],
    [
      'NaN',
      [[down, { shape: [1, 2], data: Float32Array.of(1, Number.NaN) }], good[1]],
      /holds NaN or infinity/,
    ],
    [
      'whole numbers',
      [[down, { shape: [1, 2], data: Int32Array.of(1, 2) }], good[1]],
      /is no floating point/,
    ],
    ['an alpha of many', [...good, [`${module}.alpha`, tensor([2])]], /alpha is not one number/],
    ['nothing', [], /^no tensors — /],
    ['a damaged header', good, /is not JSON — /, { lora_adapter_metadata: '{' }],
    ['DoRA by its header', good, /DoRA/, { lora_adapter_metadata: '{"unet.use_dora": true}' }],
    [
      'another kind of adapter',
      good,
      /of kind "OFT"/,
      { lora_adapter_metadata: '{"unet.peft_type": "OFT"}' },
    ],
  ])('%s', async (name, entries, message, metadata) => {
    const path = await file(`bad-${name.replaceAll(' ', '-')}`, entries, metadata);
    const read = readLora(path, targets);
    await expect(read).rejects.toThrow(InputError);
    await expect(read).rejects.toThrow(message);
    await expect(read).rejects.toThrow(/^[^\n]+ — [^\n]+ — [^\n]+$/);
    expect(up).toBeDefined();
  });

  it.each([
    ['none.safetensors', /no such LoRA file/],
    ['lora.bin', /a PyTorch pickle, .* convert it: in Python, safetensors\.torch\.save_file/],
    ['empty', /no pytorch_lora_weights\.safetensors or adapter_model\.safetensors in it/],
    ['text.safetensors', /text\.safetensors/],
  ])('%s', async (name, message) => {
    await mkdir(at('empty'), { recursive: true });
    await writeFile(at('lora.bin'), 'x');
    await writeFile(at('text.safetensors'), 'not a safetensors file at all');
    const read = readLora(join(at(), name), targets);
    await expect(read).rejects.toThrow(InputError);
    await expect(read).rejects.toThrow(message);
  });

  it('a scale that is none', async () => {
    const network = { specs: unet, params: new Float32Array(48) };
    const merged = mergeLoras({ unet: network, text_encoder: null }, [{ path: 'x', scale: Number.NaN }]);
    await expect(merged).rejects.toThrow(/a scale of NaN is not possible — --lora x — /);
  });
});
