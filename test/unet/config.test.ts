import { describe, expect, it } from 'vitest';
import { countParams } from '../../src/engine/params.js';
import { InputError } from '../../src/errors.js';
import { parseClassicUNetConfig, parseUNet2DConfig, unet2dSpecs } from '../../src/unet/index.js';

/** Two or three levels of Skip blocks, with changes. */
function skips(change: Record<string, unknown>): Record<string, unknown> {
  const levels = ((change.down_block_types as string[] | undefined) ?? ['', '']).length;
  return {
    block_out_channels: new Array(levels).fill(16),
    down_block_types: new Array(levels).fill('SkipDownBlock2D'),
    up_block_types: new Array(levels).fill('SkipUpBlock2D'),
    norm_num_groups: null,
    attention_head_dim: null,
    ...change,
  };
}

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

  it('knows block types by the names of the first releases', () => {
    const config = parseUNet2DConfig({
      block_out_channels: [32, 64],
      down_block_types: ['UNetResDownBlock2D', 'UNetResAttnDownBlock2D'],
      up_block_types: ['UNetResAttnUpBlock2D', 'UpBlock2D'],
    });
    expect(config.down_block_types).toEqual(['DownBlock2D', 'AttnDownBlock2D']);
    expect(config.up_block_types).toEqual(['AttnUpBlock2D', 'UpBlock2D']);
  });

  it('takes NCSN++ as score SDEs published it', () => {
    const types = (down: string) =>
      [0, 1, 2, 3, 4, 5, 6].map((i) => `${i === 4 ? 'Attn' : ''}Skip${down}Block2D`);
    const config = parseUNet2DConfig({
      block_out_channels: [128, 128, 256, 256, 256, 256, 256],
      down_block_types: types('Down'),
      up_block_types: types('Up').map((_, i, all) => all[6 - i]),
      norm_num_groups: null,
      attention_head_dim: null,
      time_embedding_type: 'fourier',
      mid_block_scale_factor: Math.SQRT2,
      sample_size: 256,
    });
    // 65,574,549 by diffusers 0.42.
    expect(countParams(unet2dSpecs(config))).toBe(65574549);
  });

  it.each([
    [{ act_fn: 'selu' }, 'act_fn: "selu"'],
    [
      { down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D'] },
      'down_block_types.1: "CrossAttnDownBlock2D"',
    ],
    [{ time_embedding_type: 'rotary' }, 'time_embedding_type: "rotary"'],
    [{ time_embedding_type: 'learned' }, '"learned" without num_train_timesteps'],
    [{ freq_shift: 112 }, 'freq_shift 112 leaves no frequencies'],
    [{ downsample_type: 'fir' }, 'downsample_type: "fir"'],
    [{ downsample_padding: 2 }, 'downsample_padding: 2'],
    [{ dropout: 1.1 }, 'dropout: 1.1'],
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
    [
      skips({ norm_num_groups: 4, up_block_types: ['SkipUpBlock2D', 'UpBlock2D'] }),
      'up_block_types.0: SkipUpBlock2D passes',
    ],
    [
      skips({ norm_num_groups: 4, down_block_types: ['DownBlock2D', 'SkipDownBlock2D', 'SkipDownBlock2D'] }),
      'down_block_types.1:',
    ],
    [skips({ in_channels: 4 }), 'in_channels 4 with Skip blocks'],
    [skips({ out_channels: 1 }), 'out_channels 1 with Skip blocks'],
    [
      skips({ block_out_channels: [18, 18] }),
      '18 channels at down_blocks.0.resnets.0.norm1, which has 4 groups',
    ],
    [skips({ down_block_types: ['SkipDownBlock2D', 'AttnSkipDownBlock2D'] }), 'attentions.0.group_norm'],
    [skips({ up_block_types: ['UpBlock2D', 'SkipUpBlock2D'] }), 'unsupported norm_num_groups: null'],
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
