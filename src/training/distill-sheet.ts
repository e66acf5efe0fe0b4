/** Sample sheets of a distillation: the teacher's pictures, and the student's of the same seeds below them. */
import { contactSheet, type RgbPicture, writePng } from '../image/index.js';
import { DiffusionPipeline, type GenerateOptions, type PipelineOptions } from '../pipelines/index.js';

const COLUMNS = 8;
const ROWS = 2;

/** Draws the sheets of a run; the teacher's pictures are drawn once. */
export class ComparisonSheet {
  private taught: RgbPicture[] | undefined;

  /**
   * @param teacher folder of the teacher
   * @param guidanceScale that the teacher draws with
   */
  constructor(
    private readonly teacher: string,
    private readonly guidanceScale: number,
    private readonly options: PipelineOptions,
  ) {}

  async write(student: string, path: string): Promise<void> {
    this.taught ??= await this.draw(this.teacher, { guidanceScale: this.guidanceScale });
    const learned = await this.draw(student, {});
    const rows: RgbPicture[] = [];
    for (let from = 0; from < ROWS * COLUMNS; from += COLUMNS)
      rows.push(...this.taught.slice(from, from + COLUMNS), ...learned.slice(from, from + COLUMNS));
    await writePng(path, await contactSheet(rows, { columns: COLUMNS }));
  }

  /** Labels in turn, seeds from 0, as the network draws them: a refiner hides what it has learned. */
  private async draw(model: string, options: GenerateOptions): Promise<RgbPicture[]> {
    const pipeline = await DiffusionPipeline.fromPretrained(model, this.options);
    try {
      const label = pipeline.labels.length > 0 ? pipeline.labels : undefined;
      return await pipeline.generate({ ...options, label, count: ROWS * COLUMNS, seed: 0, refine: false });
    } finally {
      await pipeline.dispose();
    }
  }
}
