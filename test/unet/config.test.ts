import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { parseClassicUNetConfig, parseUNet2DConfig } from '../../src/unet/index.js';

describe('parseUNet2DConfig', () => {
  it("fills in diffusers' defaults", () => {
    const config = parseUNet2DConfig({});
    expect(config.block_out_channels).toEqual([224, 448, 672, 896]);
    expect(config.attention_head_dim).toBe(8);
    expect(config.downsample_padding).toBe(1);
    expect(config.flip_sin_to_cos).toBe(true);
    expect(config.norm_eps).toBe(1e-5);
  });

  it('drops notes, and is stable under JSON', () => {
    const config = parseUNet2DConfig({
      _class_name: 'UNet2DModel',
      _diffusers_version: '0.1',
      sample_size: [32, 64],
    });
    expect(config).not.toHaveProperty('_class_name');
    expect(parseUNet2DConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it.each([
    [{ act_fn: 'gelu' }, 'act_fn: "gelu"'],
    [
      { down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D'] },
      'down_block_types.1: "CrossAttnDownBlock2D"',
    ],
    [{ time_embedding_type: 'fourier' }, 'time_embedding_type: "fourier"'],
    [{ downsample_type: 'resnet' }, 'downsample_type: "resnet"'],
    [{ downsample_padding: 2 }, 'downsample_padding: 2'],
    [{ dropout: 0.1 }, 'dropout: 0.1'],
    [{ resnet_time_scale_shift: 'spatial' }, 'resnet_time_scale_shift: "spatial"'],
    [{ class_embed_type: 'projection' }, 'class_embed_type: "projection"'],
    [{ layers_per_block: 0 }, 'layers_per_block: 0'],
    [{ in_channels: '3' }, 'in_channels: "3"'],
    [{ norm_num_groups: null }, 'norm_num_groups: null'],
    [{ norm_num_group: 8 }, 'unknown key "norm_num_group"'],
    [{ norm_num_groups: 33 }, 'norm_num_groups 33 does not divide 224'],
    [{ attn_norm_num_groups: 5 }, 'attn_norm_num_groups 5 does not divide 896'],
    [{ block_out_channels: [32, 64] }, 'down_block_types has 4 entries, block_out_channels 2'],
    [{ sample_size: 28 }, 'use multiples of 8, for instance 24 or 32'],
    [{ attention_head_dim: 1000 }, 'attention_head_dim 1000 is larger than the 448 channels'],
    [{ _class_name: 'UNet2DConditionModel' }, 'a config of UNet2DConditionModel, not UNet2DModel'],
    [[], 'not a model config'],
    [null, 'not a model config'],
  ])('refuses %j', (value, message) => {
    let error: unknown;
    try {
      parseUNet2DConfig(value, 'here.json');
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).toMatch(/ — here\.json — /);
    expect((error as Error).message).not.toContain('\n');
  });
});

describe('parseClassicUNetConfig', () => {
  it("fills in the paper's sizes and refuses others", () => {
    expect(parseClassicUNetConfig({})).toMatchObject({ base: 64, levels: 4 });
    expect(() => parseClassicUNetConfig({ levels: 0 })).toThrow(/levels: 0/);
    expect(() => parseClassicUNetConfig({ bilinear: true })).toThrow(/unknown key "bilinear"/);
  });
});
