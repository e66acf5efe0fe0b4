/** What a run makes of its weights at every checkpoint: statistics, a measurement, a sheet, and the model if it is best. */
import { join } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import type { CompileOptions } from '../engine/compile.js';
import { isFile } from '../files/index.js';
import { writePng } from '../image/index.js';
import { samplePath } from '../training/run-dir.js';
import type { ClassicUNetConfig } from '../unet/index.js';
import type { ClassTable } from './classes.js';
import type { SegmentConfig } from './config.js';
import type { Example } from './dataset.js';
import { type Measurement, measure, type Validation } from './measuring.js';
import { type SegmentModel, writeSegmentModel } from './model.js';
import { segmentSheet } from './overlay.js';
import type { Patches } from './patches.js';
import { Segmenter } from './segmenter.js';
import { measureStatistics } from './statistics.js';

/** What a run trains on and is measured by. */
export interface Published {
  readonly run: string;
  readonly network: ClassicUNetConfig;
  readonly config: SegmentConfig;
  readonly table: ClassTable;
  readonly patches: Patches;
  readonly train: readonly Example[];
  readonly held: readonly Example[];
  readonly validation: Validation;
}

export interface PublishOptions extends Pick<CompileOptions, 'engine' | 'threads'> {
  readonly dtype?: 'F32' | 'F16';
  readonly onMeasure?: (measurement: Measurement, best: boolean) => void;
}

/** Batches whose statistics the published norms have. */
const STATISTICS_BATCHES = 16;
/** Pictures on a sheet. */
const SHOWN = 8;

/**
 * Measures averaged weights on what is held back, draws a sheet, and writes `model/` if there are no better ones yet
 * (always, where nothing is held back). What was measured already is left alone.
 */
export async function publishModel(
  { run, network, config, table, patches, train, held, validation }: Published,
  ema: Float32Array,
  step: number,
  { engine, threads, dtype, onMeasure }: PublishOptions,
): Promise<void> {
  const model = join(run, 'model');
  const known = validation.entries.some((entry) => entry.step === step);
  if (known && (await isFile(join(model, 'config.json')))) return;
  const batches = Array.from({ length: STATISTICS_BATCHES }, (_, i) => patches.feeds(i + 1).pixels);
  const params = await measureStatistics(network, ema, batches, { engine, threads });
  const recipe = { step, pictures: train.length, config: config as unknown as JsonObject };
  const made: SegmentModel = {
    config: network,
    params,
    table,
    patch: config.patch,
    resize: config.resize,
    recipe,
  };
  const segmenter = new Segmenter(made, { engine, threads });
  try {
    const shown = spread(held.length > 0 ? held : train, SHOWN);
    const { predictions } = await measure(segmenter, shown, table);
    const rows = shown.map((picture, i) => ({
      picture,
      truth: { ...predictions[i], data: picture.labels },
      prediction: predictions[i],
    }));
    await writePng(samplePath(run, step), await segmentSheet(rows, table));
    const measurement =
      held.length > 0 ? { step, ...(await measure(segmenter, held, table)).evaluation } : null;
    const best = measurement === null || measurement.meanDice > (validation.best?.meanDice ?? -1);
    if (best || validation.best?.step === step) {
      const scored = { ...recipe, validation: measurement as unknown as JsonObject | null };
      await writeSegmentModel(model, { ...made, recipe: scored }, dtype);
    }
    if (measurement === null) return;
    // After the model: what is on the list as the best is there.
    if (!known) await validation.add(measurement);
    onMeasure?.(measurement, best);
  } finally {
    await segmenter.dispose();
  }
}

/** Evenly spread examples. */
function spread(examples: readonly Example[], wanted: number): Example[] {
  const n = Math.min(wanted, examples.length);
  return Array.from({ length: n }, (_, i) => examples[Math.floor((i * examples.length) / n)]);
}
