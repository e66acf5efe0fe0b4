/**
 * Draws with callbacks, and stops by a signal: after a time, or by whoever holds it.
 *
 *   npx tsx examples/library/stop.ts [MODEL]
 */
import { fileURLToPath } from 'node:url';
import { DiffusionPipeline, type GeneratedPicture } from 'sumi';

/** @returns how many pictures were done in time */
export async function main(model = 'characters', milliseconds = 3000): Promise<number> {
  const pipeline = await DiffusionPipeline.fromPretrained(model);
  const done: GeneratedPicture[] = [];
  const signal = AbortSignal.timeout(milliseconds);
  try {
    await pipeline.generate({
      count: 1000,
      signal,
      onStep: ({ picture, step, steps }) => {
        if (step === steps) console.log(`picture ${picture}`);
      },
      onPicture: (picture) => {
        done.push(picture);
      },
    });
  } catch (error) {
    // What `generate` throws is the signal's reason; anything else is an error.
    if (error !== signal.reason) throw error;
  } finally {
    await pipeline.dispose();
  }
  return done.length;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await main(process.argv[2]));
