import { beforeAll, describe, expect, it } from 'vitest';
import { countParams } from '../../src/engine/params.js';
import { type Tensor1D, type Tensor3D, type Tensor4D, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import { parseUNet2DConditionConfig, unet2dCondition, unet2dConditionSpecs } from '../../src/unet/index.js';
import {
  gradientError,
  loadRecorded,
  lossAndGradients,
  maxDifference,
  paramsOf,
  readJson,
  relativeDifference,
} from '../fixtures/models/load.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

async function load(name: string) {
  const config = parseUNet2DConditionConfig(readJson(`${name}/config.json`));
  const params = await paramsOf(name, unet2dConditionSpecs(config));
  const io = await loadRecorded(`${name}/io.safetensors`);
  const timesteps = io.plain('timesteps') as Tensor1D;
  const context = io.plain('context') as Tensor3D;
  return { config, params, io, timesteps, context, sample: io.activation('sample') };
}

describe.each(['condition-sd1', 'condition-sd2', 'condition-mixed'])('agrees with diffusers: %s', (name) => {
  it('has the same parameters', async () => {
    const { config, io } = await load(name);
    const names = unet2dConditionSpecs(config).map((spec) => spec.name);
    expect(names.sort()).toEqual(io.under('probe').sort());
  });

  it('gives the same output', async () => {
    const { config, params, io, timesteps, context, sample } = await load(name);
    const output = unet2dCondition(config, params, sample, timesteps, context);
    const error = maxDifference(output, io.activation('output'));
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'output', error);
    expect(error).toBeLessThan(1e-4);
  });

  it('gives the same gradients', async () => {
    const { config, params, io, timesteps, context, sample } = await load(name);
    const target = io.activation('target');
    const mse = (y: Tensor4D) => tf.mean(tf.square(tf.sub(y, target)));
    const { loss, gradients } = lossAndGradients(params, (p) =>
      mse(unet2dCondition(config, p, sample, timesteps, context)),
    );
    expect(loss).toBeCloseTo(io.plain('loss').dataSync()[0], 4);
    const [ofSample, ofContext] = tf.grads((x, c) =>
      mse(unet2dCondition(config, params, x as Tensor4D, timesteps, c as Tensor3D)),
    )([sample, context]);
    const errors = [
      gradientError(gradients, io),
      relativeDifference(ofSample, io.activation('grad_sample')),
      relativeDifference(ofContext, io.plain('grad_context')),
    ];
    if (process.env.SUMI_SHOW_ERRORS) console.log(name, 'gradients', ...errors);
    expect(Math.max(...errors)).toBeLessThan(1e-3);
  });
});

describe('unet2dCondition', () => {
  it('leaves no tensors behind', async () => {
    const { config, params, timesteps, context, sample } = await load('condition-sd2');
    const before = tf.memory().numTensors;
    unet2dCondition(config, params, sample, timesteps, context).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses shapes that do not fit, saying what would', async () => {
    const { config, params, timesteps, context, sample } = await load('condition-mixed');
    const run = (x: Tensor4D, t = timesteps, c = context) => unet2dCondition(config, params, x, t, c);
    expect(() => run(tf.zeros([2, 8, 8, 4]))).toThrow(/\[N, H, W, 3\]/);
    expect(() => run(tf.zeros([2, 8, 7, 3]))).toThrow(/8×7.*multiples of 2/);
    expect(() => run(sample, tf.tensor1d([1]))).toThrow(/one for each of 2/);
    expect(() => run(sample, timesteps, tf.zeros([2, 7, 20]))).toThrow(/text of shape.*\[2, T, 16\]/);
  });
});

/** The published configurations; what they leave out is diffusers' default. */
const published = {
  sd1: { cross_attention_dim: 768, sample_size: 64, attention_head_dim: 8 },
  sd2: {
    cross_attention_dim: 1024,
    sample_size: 96,
    attention_head_dim: [5, 10, 20, 20],
    use_linear_projection: true,
    upcast_attention: true,
    dual_cross_attention: false,
    only_cross_attention: false,
    num_class_embeds: null,
  },
};

describe('parseUNet2DConditionConfig', () => {
  // Counted by diffusers 0.42.
  it.each([
    ['Stable Diffusion 1', published.sd1, 859_520_964],
    ['Stable Diffusion 1, inpainting', { ...published.sd1, in_channels: 9 }, 859_535_364],
    ['Stable Diffusion 2', published.sd2, 865_910_724],
  ])('takes %s', (_, given, parameters) => {
    const config = parseUNet2DConditionConfig(given);
    expect(countParams(unet2dConditionSpecs(config))).toBe(parameters);
    expect(parseUNet2DConditionConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it.each([
    [{ time_cond_proj_dim: 256 }, 'time_cond_proj_dim: 256'],
    [{ addition_embed_type: 'text_time' }, 'addition_embed_type: "text_time"'],
    [{ class_embed_type: 'projection' }, 'class_embed_type: "projection"'],
    [{ num_class_embeds: 1000 }, 'num_class_embeds: 1000'],
    [{ mid_block_type: 'UNetMidBlock2DSimpleCrossAttn' }, 'mid_block_type'],
    [{ down_block_types: ['AttnDownBlock2D'] }, 'down_block_types.0: "AttnDownBlock2D"'],
    [{ attention_head_dim: 7 }, 'attention_head_dim 7 (the number of heads) does not divide 320'],
    [{ attention_head_dim: [5, 10] }, 'attention_head_dim has 2 entries, block_out_channels 4'],
    [{ cross_attention_dim: [768, 768, 768, 1024] }, 'cross_attention_dim 768, 768, 768, 1024'],
    [{ norm_num_groups: 33 }, 'norm_num_groups 33 does not divide 320'],
    [{ sample_size: 65, downsample_padding: 0 }, 'use multiples of 8'],
    [{ guidance: 1 }, 'unknown key "guidance"'],
    [{ _class_name: 'UNet2DModel' }, 'a config of UNet2DModel'],
  ])('refuses %j', (value, message) => {
    const parse = () => parseUNet2DConditionConfig(value, 'here.json');
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(message);
    expect(parse).toThrow(/^[^\n]+ — here\.json — [^\n]+$/);
  });
});
