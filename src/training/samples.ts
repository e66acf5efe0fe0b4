/** Sample sheets during training: always the same seeds, so that the sheets of a run can be compared. */
import { contactSheet, writePng } from '../image/index.js';
import { DiffusionPipeline, type PipelineOptions } from '../pipelines/index.js';

const PER_LABEL = 4;
const MOST = 32;

/** Writes a sheet of pictures drawn by a checkpoint: some of each label, or 8 pictures without labels. */
export async function sampleSheet(
  model: string,
  path: string,
  labels: readonly string[],
  options: PipelineOptions & { signal?: AbortSignal },
): Promise<void> {
  const pipeline = await DiffusionPipeline.fromPretrained(model, options);
  try {
    const shown = labels
      .slice(0, MOST / PER_LABEL)
      .flatMap((label) => new Array<string>(PER_LABEL).fill(label));
    const pictures = await pipeline.generate({
      count: shown.length || 8,
      label: shown.length > 0 ? shown : undefined,
      steps: 20,
      seed: 0,
    });
    await writePng(path, await contactSheet(pictures, { columns: 2 * PER_LABEL }));
  } finally {
    await pipeline.dispose();
  }
}
