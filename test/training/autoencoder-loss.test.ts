import { expect, it } from 'vitest';
import { autoencoderSpecs, decode, encode, parseAutoencoderConfig } from '../../src/autoencoder/index.js';
import { initParams, unflatten } from '../../src/engine/params.js';
import { type Tensor4D, tf } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import { autoencoderLoss } from '../../src/training/autoencoder.js';

it.each([
  ['', false],
  [', by latents that are not exact', true],
])('the autoencoder’s loss is the weighted sum of what its documentation names%s', (_, inexact) => {
  const config = parseAutoencoderConfig({
    sample_size: 8,
    block_out_channels: [4, 8],
    down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
    up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    layers_per_block: 1,
    latent_channels: 2,
    norm_num_groups: 2,
  });
  const specs = autoencoderSpecs(config);
  const random = new Random(0);
  const params = unflatten(specs, tf.tensor1d(initParams(specs, random)));
  const pictures = tf.tensor4d(random.fork('x').normal(2 * 8 * 8 * 3), [2, 8, 8, 3]);
  const noise = tf.tensor4d(random.fork('n').normal(2 * 4 * 4 * 2), [2, 4, 4, 2]);
  const weights = { mse_weight: 0.7, edge_weight: 0.3, kl_weight: 0.01 };
  const error = tf.tensor4d(random.fork('e').normal(2 * 4 * 4 * 2), [2, 4, 4, 2]);
  const batch = { pictures, noise, ...(inexact && { error }) };
  const { loss, metrics } = autoencoderLoss(config, weights)(params, batch);

  const { mean, logvar } = encode(config, params, pictures);
  const [mu, log, eps, wrong] = [mean, logvar, noise, error].map((t) => Array.from(t.dataSync()));
  const drawn = mu.map((m, i) => m + Math.exp(log[i] / 2) * eps[i]);
  const deviation = inexact ? Math.sqrt(drawn.reduce((sum, z) => sum + z * z, 0) / drawn.length) : 0;
  const latents = drawn.map((z, i) => z + deviation * wrong[i]);
  const made = decode(config, params, tf.tensor4d(latents, mean.shape) as Tensor4D).dataSync();
  const truth = pictures.dataSync();
  const errorAt = (n: number, y: number, x: number, c: number) => {
    const at = ((n * 8 + y) * 8 + x) * 3 + c;
    return made[at] - truth[at];
  };
  let [l1, mse, right, down] = [0, 0, 0, 0];
  for (let n = 0; n < 2; n++)
    for (let y = 0; y < 8; y++)
      for (let x = 0; x < 8; x++)
        for (let c = 0; c < 3; c++) {
          const e = errorAt(n, y, x, c);
          l1 += Math.abs(e) / (2 * 8 * 8 * 3);
          mse += e ** 2 / (2 * 8 * 8 * 3);
          if (x < 7) right += Math.abs(errorAt(n, y, x + 1, c) - e) / (2 * 8 * 7 * 3);
          if (y < 7) down += Math.abs(errorAt(n, y + 1, x, c) - e) / (2 * 7 * 8 * 3);
        }
  // Divergence from the normal distribution, a latent number's share.
  let kl = 0;
  mu.forEach((m, i) => {
    kl += (0.5 * (m ** 2 + Math.exp(log[i]) - 1 - log[i])) / mu.length;
  });
  const reported = Object.fromEntries(Object.entries(metrics ?? {}).map(([k, t]) => [k, t.dataSync()[0]]));
  expect(reported.l1).toBeCloseTo(l1, 4);
  expect(reported.mse).toBeCloseTo(mse, 4);
  expect(reported.kl).toBeCloseTo(kl, 4);
  expect(loss.dataSync()[0]).toBeCloseTo(l1 + 0.7 * mse + 0.3 * (right + down) + 0.01 * kl, 4);
});
