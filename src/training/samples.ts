/** Sample sheets during training: always the same seeds, so that the sheets of a run can be compared. */
import { contactSheet, type RgbPicture, writePng } from '../image/index.js';
import { DiffusionPipeline, type PipelineOptions } from '../pipelines/index.js';

const PER_LABEL = 4;
const MOST = 32;

/** Writes a sheet of pictures drawn by a checkpoint: some of each label, or 8 pictures; of texts, two of each. @returns them */
export async function sampleSheet(
  model: string,
  path: string,
  { labels = [], texts = [] }: { readonly labels?: readonly string[]; readonly texts?: readonly string[] },
  options: PipelineOptions & { signal?: AbortSignal },
): Promise<RgbPicture[]> {
  const pipeline = await DiffusionPipeline.fromPretrained(model, options);
  try {
    const shown = labels
      .slice(0, MOST / PER_LABEL)
      .flatMap((label) => new Array<string>(PER_LABEL).fill(label));
    const common = { steps: 20, seed: 0 };
    const pictures: RgbPicture[] = [];
    for (const prompt of texts.slice(0, 4))
      pictures.push(...(await pipeline.generate({ ...common, prompt, count: 2 })));
    if (texts.length === 0) {
      const label = shown.length > 0 ? shown : undefined;
      pictures.push(...(await pipeline.generate({ ...common, label, count: shown.length || 8 })));
    }
    await writePng(path, await contactSheet(pictures, { columns: 2 * PER_LABEL }));
    return pictures;
  } finally {
    await pipeline.dispose();
  }
}
