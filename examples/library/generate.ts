/**
 * Draws with a model, and with one scheduler after another in its place.
 *
 *   npx tsx examples/library/generate.ts [MODEL] [FOLDER]
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  contactSheet,
  DiffusionPipeline,
  DPMSolverMultistepScheduler,
  type RgbPicture,
  writePng,
} from 'sumi';

/** @returns the sheet that was written */
export async function main(model = 'characters', folder = 'pictures', steps = 10): Promise<string> {
  const pipeline = await DiffusionPipeline.fromPretrained(model);
  try {
    const pictures: RgbPicture[] = [];
    const draw = async () => pictures.push(...(await pipeline.generate({ count: 2, seed: 7, steps })));

    await draw(); // by the model's own scheduler
    pipeline.scheduler = 'euler'; // by another, for the model's noise schedule
    await draw();
    // Or made by hand, from the config of the one that it replaces.
    pipeline.scheduler = new DPMSolverMultistepScheduler({
      ...pipeline.scheduler.config,
      use_karras_sigmas: true,
    });
    await draw();

    const sheet = join(folder, 'schedulers.png');
    await writePng(sheet, await contactSheet(pictures, { columns: 2 }), { model, seed: 7 });
    return sheet;
  } finally {
    await pipeline.dispose();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await main(...process.argv.slice(2)));
