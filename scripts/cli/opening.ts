/** Opens the model of a command that draws. */
import type { Engine } from '../../src/engine/engines.js';
import type { LoraFile } from '../../src/lora/index.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { type LoraArgs, loraFiles } from './lora.js';
import { precisionOf, type SpeedArgs } from './speed.js';

type OpeningArgs = LoraArgs & SpeedArgs & { model: string; engine: string; threads?: number; guide?: string };

/** @throws InputError for a model, LoRA file or guide that does not open */
export async function openPipeline(
  argv: OpeningArgs,
): Promise<{ pipeline: DiffusionPipeline; loras: LoraFile[] }> {
  const { model, threads, guide } = argv;
  const engine = argv.engine as Engine;
  const loras = await loraFiles(argv);
  const options = { engine, threads, loras, guide, ...precisionOf(argv) };
  return { pipeline: await DiffusionPipeline.fromPretrained(model, options), loras };
}
