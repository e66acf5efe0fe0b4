/** The text encoder against transformers' CLIPTextModel (test/fixtures/text/record.py). */
import { beforeAll, describe, expect, it } from 'vitest';
import { Compiled } from '../../src/engine/compile.js';
import { countParams } from '../../src/engine/params.js';
import { type Tensor2D, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import { clipText, clipTextName, clipTextSpecs, parseClipTextConfig } from '../../src/text/index.js';
import { hashedParams, loadRecorded, maxDifference, readJson } from '../fixtures/models/load.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(['clip-quick', 'clip-gelu'])('agrees with transformers: %s', (name) => {
  const load = async () => {
    const config = parseClipTextConfig(readJson(`../text/${name}/config.json`));
    const io = await loadRecorded(`../text/${name}/io.safetensors`);
    const params = hashedParams(clipTextSpecs(config));
    return { config, params, ids: io.plain('ids') as Tensor2D, hidden: io.plain('hidden') };
  };

  it('eager, leaving no tensors behind', async () => {
    const { config, params, ids, hidden } = await load();
    const before = tf.memory().numTensors;
    const got = clipText(config, params, ids);
    expect(tf.memory().numTensors).toBe(before + 1);
    const error = maxDifference(got, hidden);
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'eager', error);
    expect(error).toBeLessThan(1e-5);
  });

  it('compiled', async () => {
    const { config, params, ids, hidden } = await load();
    const constants = Object.fromEntries(
      Object.entries(params).map(([key, t]) => [
        key,
        { data: t.dataSync() as Float32Array, shape: t.shape, dtype: 'float32' as const },
      ]),
    );
    const compiled = new Compiled(({ ids, ...rest }) => ({ y: clipText(config, rest, ids as Tensor2D) }), {
      threads: 1,
      constants,
    });
    const feed = { data: ids.dataSync() as Int32Array, shape: ids.shape, dtype: 'int32' as const };
    const { y } = await compiled.run({ ids: feed });
    await compiled.dispose();
    const error = maxDifference(tf.tensor(y as Float32Array, hidden.shape), hidden);
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'compiled', error);
    expect(error).toBeLessThan(1e-5);
  });

  it('refuses texts that are too long', async () => {
    const { config, params } = await load();
    expect(() => clipText(config, params, tf.zeros([1, 13], 'int32'))).toThrow(/T at most 12/);
    expect(() => clipText(config, params, tf.zeros([1, 5]))).toThrow(InputError);
  });
});

describe('parseClipTextConfig', () => {
  // 123,060,480 and 340,387,840 by transformers 5.24.
  it.each([
    [
      'Stable Diffusion 1',
      { hidden_size: 768, intermediate_size: 3072, num_attention_heads: 12 },
      123_060_480,
    ],
    [
      'Stable Diffusion 2',
      {
        hidden_size: 1024,
        intermediate_size: 4096,
        num_attention_heads: 16,
        num_hidden_layers: 23,
        hidden_act: 'gelu',
      },
      340_387_840,
    ],
  ])("takes %s's, whatever else transformers writes into it", (_, given, parameters) => {
    const config = parseClipTextConfig({
      ...given,
      _name_or_path: 'openai/clip-vit-large-patch14',
      architectures: ['CLIPTextModel'],
      model_type: 'clip_text_model',
      torch_dtype: 'float32',
      pad_token_id: 1,
    });
    expect(config).not.toHaveProperty('torch_dtype');
    expect(countParams(clipTextSpecs(config))).toBe(parameters);
  });

  it.each([
    [{ model_type: 'clip_vision_model' }, 'model_type: "clip_vision_model"'],
    [{ hidden_act: 'relu' }, 'hidden_act: "relu"'],
    [{ num_attention_heads: 7 }, 'num_attention_heads 7 does not divide hidden_size 512'],
    [{ use_attention_mask: true }, 'use_attention_mask: true'],
    [[], 'not a model config'],
  ])('refuses %j', (value, message) => {
    const parse = () => parseClipTextConfig(value, 'here.json');
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(message);
    expect(parse).toThrow(/^[^\n]+ — here\.json — [^\n]+$/);
  });
});

describe('clipTextName', () => {
  it('knows the names of transformers 4 and 5, and what is no parameter', () => {
    const name = 'text_model.encoder.layers.0.mlp.fc1.bias';
    expect(clipTextName(name)).toBe(name);
    expect(clipTextName('encoder.layers.0.mlp.fc1.bias')).toBe(name);
    expect(clipTextName('final_layer_norm.weight')).toBe('text_model.final_layer_norm.weight');
    expect(clipTextName('text_model.embeddings.position_ids')).toBeNull();
    expect(clipTextName('text_projection.weight')).toBe('text_projection.weight');
  });
});
