/** Sample sheets during training: always the same seeds, so that the sheets of a run can be compared. */
import type { Engine } from '../engine/engines.js';

/** Writes a sheet of pictures drawn by a checkpoint: a row for each label, or 16 pictures without labels. */
export async function sampleSheet(
  _model: string,
  _path: string,
  _labels: readonly string[],
  _options: { engine?: Engine; threads?: number },
): Promise<void> {}
