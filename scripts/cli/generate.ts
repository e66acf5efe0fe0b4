/** What `sumi generate` does with its options. */

import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { contactSheet, type Recipe, writePng } from '../../src/image/index.js';
import {
  checkGuidance,
  checkSeed,
  checkVary,
  type DiffusionPipeline,
  etaOf,
  type GeneratedPicture,
  type GenerateOptions,
  type StepProgress,
} from '../../src/pipelines/index.js';
import { stepStarts } from '../../src/schedulers/index.js';
import type { GenerateArgs } from '../generate.js';
import { Animation, checkAnimationFile } from './animation.js';
import { requireWhole } from './checks.js';
import { guidanceFacts, guidanceOf } from './guidance.js';
import { interruptible } from './interrupt.js';
import { lookFacts, looksOf } from './looks.js';
import { loraFacts } from './lora.js';
import { openPipeline } from './opening.js';
import { type Outputs, outputsOf, prepareFiles } from './outputs.js';
import { startProgress } from './progress.js';
import { promptFacts, promptOptions } from './prompt.js';
import { refineFacts } from './refining.js';
import { note, print, printJson } from './report.js';
import { speedFacts, speedOf } from './speed.js';
import { version } from './version.js';

export { outputsOf };

/** What can be told to be wrong before the model is read. */
function check(argv: GenerateArgs): void {
  requireEngine(argv.engine as Engine);
  requireWhole(argv, ['count', 'steps', 'size', 'height', 'width', 'threads', 'batch', 'fast']);
  if (argv.size !== undefined && (argv.height !== undefined || argv.width !== undefined)) {
    throw new InputError(
      'a size beside a height or a width — --size — give one side of a square, or the two',
    );
  }
  checkSeed(argv.seed);
  if (argv.vary !== undefined) checkVary(argv.vary);
  checkGuidance(guidanceOf(argv));
  if (argv.animate !== undefined) checkAnimationFile(argv.animate);
}

/**
 * Labels as they are given on the command line: several with commas between, or each with an option of its own.
 * @param known the model's labels; one that has a comma itself is taken as it is
 */
export function labelsOf(
  texts: readonly string[] | undefined,
  known: readonly string[] = [],
): string[] | undefined {
  return texts?.flatMap((text) =>
    known.includes(text) ? [text] : text.split(',').map((label) => label.trim()),
  );
}

/** Writes pictures as they come, and at the end what is made of all of them. */
class Album {
  readonly images: { path: string; seed: number; label: string | null; variation?: number }[] = [];
  private readonly pictures: GeneratedPicture[] = [];
  private readonly animation: Animation | undefined;

  constructor(
    private readonly outputs: Outputs,
    private readonly animate: string | undefined,
    steps: number,
    /** How many times larger than drawn the pictures are. */
    private readonly scale: number,
    private readonly recipe: (picture: GeneratedPicture) => Recipe,
  ) {
    this.animation = animate === undefined ? undefined : new Animation(steps);
  }

  async show({ step, preview }: StepProgress): Promise<void> {
    if (this.animation?.wants(step)) this.animation.add(step, await preview());
  }

  async add(picture: GeneratedPicture): Promise<void> {
    const file = this.outputs.file(this.images.length);
    await writePng(file, picture, this.recipe(picture));
    this.pictures.push(picture);
    const { seed, label, variation } = picture;
    this.images.push({ path: file, seed, label, variation });
  }

  /** Writes the sheet and the animation of the pictures there are. */
  async finish(): Promise<void> {
    const count = this.pictures.length;
    if (count === 0) return;
    const { width } = this.pictures[0];
    const { grid } = this.outputs;
    if (grid !== undefined) {
      const labels = [...new Set(this.pictures.map(({ label }) => label))];
      const recipe = {
        ...this.recipe(this.pictures[0]),
        count,
        label: labels.length === 1 ? labels[0] : labels,
      };
      await writePng(grid, await contactSheet(this.pictures, { zoom: zoomFor(width) }), recipe);
    }
    // It shows pictures as they are drawn.
    const zoom = zoomFor(width / this.scale);
    if (this.animate !== undefined) await this.animation?.write(this.animate, count, zoom);
  }
}

/** Small pictures are shown larger on a sheet. */
function zoomFor(width: number): number {
  return Math.max(1, Math.floor(128 / width));
}

/** The size asked for; a side that is not is the model's. */
function pictureSize({ size, height, width }: GenerateArgs, { pictureSize: [h, w] }: DiffusionPipeline) {
  return height === undefined && width === undefined ? size : ([height ?? h, width ?? w] as const);
}

export async function runGenerate(argv: GenerateArgs): Promise<void> {
  check(argv);
  const outputs = outputsOf(argv);
  const engine = argv.engine as Engine;
  const started = performance.now();
  const looks = await looksOf(argv);
  const { pipeline, loras } = await openPipeline(argv);
  try {
    const options: GenerateOptions = {
      count: argv.count,
      seed: argv.seed,
      vary: argv.vary,
      label: labelsOf(argv.label, pipeline.labels),
      steps: argv.steps,
      scheduler: argv.scheduler,
      eta: argv.eta,
      guidanceScale: argv.guidance,
      size: pictureSize(argv, pipeline),
      refine: argv.refine,
      ...looks,
      ...promptOptions(argv),
      ...guidanceOf(argv),
      ...speedOf(argv),
    };
    const plan = pipeline.plan(options);
    const scheduler = pipeline.schedulerFor(options);
    const calls = scheduler.timesteps.length;
    const facts = {
      model: argv.model,
      engine,
      scheduler: String(scheduler.toConfig()._class_name),
      steps: stepStarts(scheduler).length,
      ...promptFacts(pipeline, argv),
      ...loraFacts(loras),
      ...guidanceFacts(argv, pipeline),
      ...lookFacts(argv, looks),
      ...speedFacts(argv),
      ...refineFacts(pipeline, options),
    };
    await prepareFiles([
      ...plan.map((_, i) => outputs.file(i)),
      ...[outputs.grid, argv.animate].filter((file) => file !== undefined),
    ]);
    const album = new Album(
      outputs,
      argv.animate,
      calls,
      pipeline.scale(options),
      ({ seed, label, variation, width, height }) => ({
        ...facts,
        seed,
        ...(variation !== undefined && { vary: argv.vary, variation }),
        label,
        guidance: plan[0].condition.guidanceScale,
        eta: etaOf(options, scheduler),
        width,
        height,
        sumi: version(),
      }),
    );
    let done = 0;
    const progress = startProgress({ label: 'draw', total: argv.count * calls, quiet: argv.quiet });
    try {
      await interruptible(async (signal) => {
        await pipeline.generate({
          ...options,
          signal,
          onStep: async (event) => {
            progress.update(++done);
            await album.show(event);
          },
          onPicture: (picture) => album.add(picture),
        });
      });
    } catch (error) {
      progress.stop();
      await album.finish();
      if (album.images.length > 0) note(`kept ${pictures(album.images.length)}`, argv);
      throw error;
    }
    progress.stop();
    await album.finish();
    const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
    if (argv.json) {
      const { grid } = outputs;
      const animation = argv.animate;
      return printJson({ ...facts, seconds, images: album.images, grid, animation });
    }
    note(`${pictures(album.images.length)} in ${seconds.toFixed(1)} s`, argv);
    const shown = outputs.grid === undefined ? album.images.map((image) => image.path) : [outputs.grid];
    for (const file of argv.animate === undefined ? shown : [...shown, argv.animate]) print(file);
  } finally {
    await pipeline.dispose();
  }
}

const pictures = (n: number): string => `${n} picture${n === 1 ? '' : 's'}`;
