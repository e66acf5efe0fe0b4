/** A process of its own: prints how far its memory grows over training steps, and what their values need, in bytes. */
import { graphOf } from '../../src/engine/compile.js';
import { peakBytes } from '../../src/engine/memory.js';
import { initParams } from '../../src/engine/params.js';
import { Random } from '../../src/random.js';
import { diffusionLoss } from '../../src/training/diffusion.js';
import { gradients } from '../../src/training/gradients.js';
import { freshVectors, TrainStep } from '../../src/training/step.js';
import { parseUNet2DConfig, unet2dNetwork, unet2dSpecs } from '../../src/unet/index.js';
import { feed } from '../engine/feeds.js';

const config = parseUNet2DConfig({
  sample_size: 32,
  in_channels: 3,
  out_channels: 3,
  block_out_channels: [32, 64, 96],
  layers_per_block: 2,
  norm_num_groups: 8,
  down_block_types: ['DownBlock2D', 'DownBlock2D', 'AttnDownBlock2D'],
  up_block_types: ['AttnUpBlock2D', 'UpBlock2D', 'UpBlock2D'],
  attention_head_dim: 32,
});
const specs = unet2dSpecs(config);
const names = specs.map(({ name }) => name);
const loss = diffusionLoss(unet2dNetwork(config));
const ROWS = 24;
const batch = {
  sample: feed([ROWS, 32, 32, 3], 1),
  target: feed([ROWS, 32, 32, 3], 2),
  weights: feed([ROWS], 3),
  bands: feed([ROWS, 4], 6),
  timesteps: feed([ROWS], 4),
};
const params = Object.fromEntries(
  specs.map(({ name, shape }) => [name, { shape, dtype: 'float32' as const }]),
);
const graph = graphOf(
  (inputs) => {
    const found = gradients(names, loss, inputs, inputs);
    return { loss: found.loss, ...Object.fromEntries(names.map((name, i) => [`d ${name}`, found.grads[i]])) };
  },
  { ...params, ...batch },
);
const vectors = freshVectors(initParams(specs, new Random(1)));
const before = process.memoryUsage.rss();
const trainer = new TrainStep(specs, loss, vectors);
for (let step = 1; step <= 4; step++) await trainer.run(batch, step, 1e-4, 0.9);
console.log(
  JSON.stringify({ grown: process.resourceUsage().maxRSS * 1024 - before, needed: peakBytes(graph) }),
);
await trainer.dispose();
