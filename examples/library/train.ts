/**
 * Trains a small model on a folder of pictures, watches the loss, and draws with what came of it.
 *
 *   npx tsx examples/library/train.ts DATA RUN
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiffusionPipeline, parseTrainConfig, presetConfig, train, writePng } from 'sumi';

/** @returns the losses of the steps */
export async function main(data: string, out: string, steps = 60): Promise<number[]> {
  const preset = presetConfig('tiny');
  const config = parseTrainConfig({ ...preset, diffusion: { ...preset.diffusion, steps } }, 'train.ts');
  const losses: number[] = [];
  const { model } = await train({ data, out, config, onStep: ({ loss }) => losses.push(loss) });

  if (model === null) throw new Error('only an autoencoder was trained');

  const pipeline = await DiffusionPipeline.fromPretrained(model);
  try {
    const [picture] = await pipeline.generate({ seed: 1 });
    await writePng(join(out, 'drawn.png'), picture, { model, seed: 1 });
  } finally {
    await pipeline.dispose();
  }
  return losses;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [data, out] = process.argv.slice(2);
  console.log(await main(data, out));
}
