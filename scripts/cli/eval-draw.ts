/** The pictures of `sumi eval MODEL`. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../src/errors.js';
import { type Recipe, writePng } from '../../src/image/index.js';
import { generatedSet, labelsIn, labelsLike, type PictureSet } from '../../src/metrics/picture-set.js';
import type { DiffusionPipeline, GeneratedPicture } from '../../src/pipelines/index.js';
import { stepStarts } from '../../src/schedulers/index.js';
import type { EvalArgs } from '../eval.js';
import { readReal, shown } from './eval-read.js';
import { openPipeline } from './opening.js';
import { prepareFiles } from './outputs.js';
import { refineFacts } from './refining.js';
import { speedFacts, speedOf } from './speed.js';
import { version } from './version.js';

export interface Drawn {
  readonly generated: PictureSet;
  readonly real: PictureSet;
  /** How the pictures were drawn. */
  readonly facts: Recipe;
}

/** Draws, and keeps the pictures in `pictures/`. Labels come as often as among the real pictures. */
export async function drawForEval(argv: EvalArgs, signal: AbortSignal): Promise<Drawn> {
  const { model = '', data = '', count = 500, engine, seed, steps, scheduler, eta, guidance } = argv;
  const folder = path.join(argv.out, 'pictures');
  await requireEmpty(folder);
  const { pipeline } = await openPipeline({ ...argv, model });
  try {
    const size = squareSide(pipeline, argv);
    const { refine } = argv;
    const sampling = { steps, scheduler, eta, guidanceScale: guidance, size, refine, ...speedOf(argv) };
    // What the model cannot do is told before the pictures are read.
    const [{ condition }] = pipeline.plan({ ...sampling, seed, label: argv.label });
    const real = await readReal(data, argv, size * pipeline.scale({ refine }), signal);
    const label = labelsFor(real, pipeline, count, seed);
    const made = pipeline.schedulerFor(sampling);
    const facts = {
      model,
      engine,
      scheduler: String(made.toConfig()._class_name),
      steps: stepStarts(made).length,
      guidance: condition.guidanceScale,
      eta: eta ?? made.defaultEta ?? 0,
      ...speedFacts(argv),
      ...refineFacts(pipeline, { refine }),
    };
    const file = (of: number) => path.join(folder, `${of}.png`);
    await prepareFiles([file(seed)]);
    const pictures: GeneratedPicture[] = [];
    await shown('draw', argv.quiet, (onProgress) =>
      pipeline.generate({
        ...sampling,
        count,
        seed,
        label,
        signal,
        onPicture: async (picture) => {
          const { seed, label, width, height } = picture;
          await writePng(file(seed), picture, { ...facts, seed, label, width, height, sumi: version() });
          pictures.push(picture);
          onProgress(pictures.length, count);
        },
      }),
    );
    return { generated: generatedSet(model, pictures), real, facts };
  } finally {
    await pipeline.dispose();
  }
}

/** @throws InputError for a folder of pictures that are there already: they would be measured with these the next time */
async function requireEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  if (names.length > 0)
    throw new InputError(
      `pictures were drawn there before — ${folder} — measure them by --images ${folder}, or name another --out`,
    );
}

/** @throws InputError for a model whose pictures cannot be drawn by label, or are no squares */
function squareSide({ model, pictureSize: [height, width] }: DiffusionPipeline, argv: EvalArgs): number {
  if (model.text)
    throw new InputError(
      `the model draws from texts — ${argv.model} — draw by generate, and name the folder by --images`,
    );
  if (argv.size !== undefined) return argv.size;
  if (height !== width)
    throw new InputError(
      `the model draws ${height}×${width}, no squares — ${argv.model} — say by --size what to draw`,
    );
  return height;
}

/**
 * A label for each picture, in the shares that the real pictures have; undefined where one side has no labels.
 * @throws InputError when real pictures have a label that the model does not know
 */
function labelsFor(
  real: PictureSet,
  { labels }: DiffusionPipeline,
  count: number,
  seed: number,
): string[] | undefined {
  if (labels.length === 0) return undefined;
  const foreign = labelsIn(real).find((label) => !labels.includes(label));
  if (foreign !== undefined)
    throw new InputError(
      `the model does not know the label ${foreign} — ${real.from} — it knows ${labels.join(', ')}; choose one by --label`,
    );
  return labelsLike(real, count, seed);
}
