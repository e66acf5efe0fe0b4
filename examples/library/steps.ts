/**
 * Watches pictures come out of the noise, and stops when there are enough.
 *
 *   npx tsx examples/library/steps.ts [MODEL] [FOLDER]
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiffusionPipeline, writePng } from 'sumi';

/** @returns the files that were written */
export async function main(model = 'characters', folder = 'pictures', steps = 8): Promise<string[]> {
  const pipeline = await DiffusionPipeline.fromPretrained(model);
  const files: string[] = [];
  try {
    for await (const event of pipeline.steps({ count: 100, seed: 1, steps })) {
      if (event.kind === 'step') {
        if (event.step % 4 !== 0) continue;
        // Decoding costs time, and is done when it is asked for only.
        files.push(join(folder, `${event.picture}-step-${event.step}.png`));
        await writePng(files[files.length - 1], await event.preview());
      } else {
        files.push(join(folder, `${event.picture}.png`));
        await writePng(files[files.length - 1], event.result, { model, seed: event.result.seed });
        if (event.picture === 1) break; // Leaving the loop stops the drawing.
      }
    }
    return files;
  } finally {
    await pipeline.dispose();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await main(...process.argv.slice(2)));
