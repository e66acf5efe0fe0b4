import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { parseTrainConfig, presetConfig, presets } from '../../src/training/index.js';

const parse = (change: object, preset = 'tiny') =>
  parseTrainConfig({ ...presetConfig(preset), ...change }, 'x.json');
const tiny = presetConfig('tiny').diffusion;
const diffusion = (change: object) => ({ diffusion: { ...tiny, ...change } });
const vae = presetConfig('small').autoencoder;

describe('training configurations', () => {
  it.each(Object.keys(presets))('preset %s is sound, and parses to itself', (name) => {
    const config = parseTrainConfig(presetConfig(name), name);
    expect(config.preset).toBe(name);
    expect(parseTrainConfig(JSON.parse(JSON.stringify(config)), name)).toEqual(config);
  });

  it('hands out presets that may be changed', () => {
    (presetConfig('tiny') as { size: number }).size = 99;
    expect(presetConfig('tiny').size).toBe(16);
  });

  it.each<[string, object, RegExp]>([
    ['an unknown key', { colour: 1 }, /^colour: .* — x\.json — see docs\/training\.md/],
    ['an unknown key inside', diffusion({ lr: 1 }), /^diffusion: .*lr.* — x\.json/],
    ['an unknown augmentation', { augment: { rotate: 3 } }, /^augment: .*rotate/],
    ['an augmentation that is no object', { augment: 5 }, /^augment: /],
    ['a size of 0', { size: 0 }, /^size: /],
    ['half a pixel', { size: 16.5 }, /^size: /],
    ['a size as text', { size: '16' }, /^size: /],
    [
      'a size that cannot be halved',
      { size: 17 },
      /^size 17 is not a multiple of 2, .* — x\.json — use 1[68]/,
    ],
    ['a negative seed', { seed: -1 }, /^seed: /],
    ['no steps', diffusion({ steps: 0 }), /^diffusion\.steps: /],
    ['an empty batch', diffusion({ batch_size: 0 }), /^diffusion\.batch_size: /],
    ['a learning rate of 0', diffusion({ learning_rate: 0 }), /^diffusion\.learning_rate: /],
    ['a learning rate without end', diffusion({ learning_rate: Number.POSITIVE_INFINITY }), /learning_rate/],
    ['a decay of 1', diffusion({ ema_decay: 1 }), /^diffusion\.ema_decay: /],
    ['a dropout above 1', diffusion({ label_dropout: 1.5 }), /^diffusion\.label_dropout: /],
    ['another prediction', diffusion({ prediction_type: 'noise' }), /^diffusion\.prediction_type: /],
    ['another scheduler', { sampling: { scheduler: 'foo' } }, /^sampling\.scheduler: /],
    ['no diffusion', { diffusion: undefined }, /^diffusion: /],
    ['no model', diffusion({ model: undefined }), /^diffusion\.model: /],
    [
      'a model of unknown keys',
      diffusion({ model: { ...tiny.model, depth: 3 } }),
      /depth.*x\.json: diffusion\.model/,
    ],
    [
      'channels that the norm cannot group',
      diffusion({ model: { ...tiny.model, block_out_channels: [30, 60] } }),
      /x\.json: diffusion\.model/,
    ],
    ['dropout', diffusion({ model: { ...tiny.model, dropout: 0.1 } }), /^dropout 0\.1 .*set it to 0/],
    [
      'times without logarithm',
      diffusion({ model: { ...tiny.model, time_embedding_type: 'fourier' } }),
      /fourier.*positional/,
    ],
    [
      'a short table of times',
      diffusion({ model: { ...tiny.model, time_embedding_type: 'learned', num_train_timesteps: 10 } }),
      /^num_train_timesteps 10 is smaller than the 1000/,
    ],
    [
      'an autoencoder of unknown keys',
      { autoencoder: { ...vae, model: { ...vae?.model, depth: 3 } } },
      /depth.*x\.json: autoencoder\.model/,
    ],
  ])('refuse %s in one line', (_, change, message) => {
    expect(() => parse(change)).toThrow(InputError);
    expect(() => parse(change)).toThrow(message);
    try {
      parse(change);
    } catch (error) {
      expect((error as Error).message).not.toContain('\n');
    }
  });

  it('count the halvings of both networks', () => {
    // Two of the autoencoder, two of the UNet.
    expect(() => parse({ size: 72 }, 'small')).toThrow(/size 72 is not a multiple of 16.* use 80/);
    expect(parse({ size: 80 }, 'small').size).toBe(80);
  });

  it.each(['huge', '', 'constructor', '__proto__'])('know no preset %j', (name) => {
    expect(() => presetConfig(name)).toThrow(
      /preset .* is unknown — --preset — use tiny, light, small, base/,
    );
  });

  it('refuse what is no object', () => {
    for (const value of [null, 5, 'tiny', []]) {
      expect(() => parseTrainConfig(value, 'x.json')).toThrow(InputError);
    }
  });
});
