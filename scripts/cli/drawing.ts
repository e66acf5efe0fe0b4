/** What the commands that change a given picture share: checks, progress, files, the report. */

import { type Engine, requireEngine } from '../../src/engine/engines.js';
import type { Json, Recipe } from '../../src/image/index.js';
import {
  checkGuidance,
  checkSeed,
  type DiffusionPipeline,
  type GeneratedPicture,
  type SamplingOptions,
} from '../../src/pipelines/index.js';
import { stepStarts } from '../../src/schedulers/index.js';
import { requireWhole } from './checks.js';
import { labelsOf } from './generate.js';
import { guidanceFacts, guidanceOf } from './guidance.js';
import { interruptible } from './interrupt.js';
import { loraFacts } from './lora.js';
import { openPipeline } from './opening.js';
import type { DrawingArgs } from './options.js';
import { outputsOf, prepareFiles } from './outputs.js';
import { type Progress, startProgress } from './progress.js';
import { promptFacts, promptOptions } from './prompt.js';
import { note, print, printJson } from './report.js';
import { speedFacts, speedOf } from './speed.js';
import { version } from './version.js';

/** What both pipelines take. */
export interface DrawingOptions extends SamplingOptions {
  readonly count: number;
  readonly seed: number;
  readonly label?: string[];
  readonly signal: AbortSignal;
  readonly onStep: (done: number, total: number) => void;
}

export interface Drawing<Picture extends GeneratedPicture> {
  readonly argv: DrawingArgs;
  /** Of the method, for the recipe in each picture and the report. */
  readonly facts: (pipeline: DiffusionPipeline) => Record<string, Json>;
  /** Where the command's defaults are not those of `generate`. */
  readonly defaults?: (pipeline: DiffusionPipeline) => Pick<SamplingOptions, 'eta' | 'guidanceScale'>;
  /** Only for the report. */
  readonly reported?: Record<string, string | number>;
  readonly draw: (
    pipeline: DiffusionPipeline,
    options: DrawingOptions,
    onPicture: (picture: Picture) => Promise<void>,
  ) => Promise<unknown>;
  readonly write: (file: string, picture: Picture, recipe: Recipe) => Promise<void>;
}

/** @throws InputError for numbers that no command can work with */
export function checkDrawingArgs({ engine, ...argv }: DrawingArgs): void {
  requireEngine(engine as Engine);
  requireWhole(argv, ['count', 'steps', 'threads', 'batch', 'fast']);
  checkSeed(argv.seed);
  checkGuidance(guidanceOf(argv));
  outputsOf({ ...argv, grid: false });
}

/** Loads the model, draws, writes each picture as soon as it is done, and reports. */
export async function runDrawing<Picture extends GeneratedPicture>(drawing: Drawing<Picture>): Promise<void> {
  const { argv, facts, draw, write } = drawing;
  const started = performance.now();
  const outputs = outputsOf({ ...argv, grid: false });
  const engine = argv.engine as Engine;
  const { pipeline, loras } = await openPipeline(argv);
  try {
    const { count, seed, steps } = argv;
    const label = labelsOf(argv.label, pipeline.labels);
    const defaults = drawing.defaults?.(pipeline);
    const eta = argv.eta ?? defaults?.eta;
    const guidanceScale = argv.guidance ?? defaults?.guidanceScale;
    const texts = promptOptions(argv);
    const sampling = {
      steps,
      scheduler: argv.scheduler,
      eta,
      guidanceScale,
      ...texts,
      ...guidanceOf(argv),
      ...speedOf(argv),
    };
    const plan = pipeline.plan({ ...sampling, count, seed, label });
    const scheduler = pipeline.schedulerFor(sampling);
    const common = {
      model: argv.model,
      engine,
      scheduler: String(scheduler.toConfig()._class_name),
      ...facts(pipeline),
      steps: stepStarts(scheduler).length,
      ...promptFacts(pipeline, argv),
      ...loraFacts(loras),
      ...guidanceFacts(argv, pipeline),
      ...speedFacts(argv),
    };
    await prepareFiles(plan.map((_, i) => outputs.file(i)));
    const images: { path: string; seed: number; label: string | null }[] = [];
    const save = async (picture: Picture) => {
      const file = outputs.file(images.length);
      const { seed, label, width, height } = picture;
      const guidance = plan[images.length].condition.guidanceScale;
      const recipe = {
        ...common,
        seed,
        label,
        guidance,
        eta: eta ?? scheduler.defaultEta ?? 0,
        width,
        height,
        sumi: version(),
      };
      await write(file, picture, recipe);
      images.push({ path: file, seed, label });
    };
    let progress: Progress | undefined;
    const onStep = (done: number, total: number) => {
      progress ??= startProgress({ label: 'draw', total, quiet: argv.quiet });
      progress.update(done);
    };
    try {
      await interruptible((signal) =>
        draw(pipeline, { ...sampling, count, seed, label, signal, onStep }, save),
      );
    } catch (error) {
      progress?.stop();
      if (images.length > 0) note(`kept ${pictures(images.length)}`, argv);
      throw error;
    }
    progress?.stop();
    const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
    if (argv.json) return printJson({ ...common, seconds, ...drawing.reported, images });
    note(`${pictures(images.length)} in ${seconds.toFixed(1)} s`, argv);
    for (const { path } of images) print(path);
  } finally {
    await pipeline.dispose();
  }
}

const pictures = (n: number): string => `${n} picture${n === 1 ? '' : 's'}`;
