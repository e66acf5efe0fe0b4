/**
 * Draws from a text by a Stable Diffusion checkpoint, with LoRA files.
 *
 *   npx tsx examples/library/text-to-image.ts MODEL PROMPT OUT.png [LORA.safetensors ...]
 */
import { fileURLToPath } from 'node:url';
import { DiffusionPipeline, writePng } from 'sumi';

export async function main(
  model: string,
  prompt: string,
  out: string,
  files: string[] = [],
  steps = 20,
): Promise<void> {
  const loras = files.map((path) => ({ path, scale: 0.8 }));
  const pipeline = await DiffusionPipeline.fromPretrained(model, { loras });
  try {
    pipeline.scheduler = 'dpmsolver';
    const [picture] = await pipeline.generate({ prompt, negativePrompt: 'blurry', seed: 1, steps });
    await writePng(out, picture, { model, prompt, seed: picture.seed });
  } finally {
    await pipeline.dispose();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [model, prompt, out, ...files] = process.argv.slice(2);
  await main(model, prompt, out, files);
}
