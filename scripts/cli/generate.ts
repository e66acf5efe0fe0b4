/** What `sumi generate` does with its options. */
import path from 'node:path';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import {
  ANIMATION_EXTENSIONS,
  contactSheet,
  makeFolder,
  type Recipe,
  type RgbPicture,
  writeAnimation,
  writePng,
} from '../../src/image/index.js';
import { DiffusionPipeline, type GeneratedPicture, type GenerateOptions } from '../../src/pipelines/index.js';
import type { GenerateArgs } from '../generate.js';
import { interruptible } from './interrupt.js';
import { startProgress } from './progress.js';
import { note, print, printJson } from './report.js';
import { version } from './version.js';

/** Frames of an animation: enough to look smooth, few enough to stay small. */
const MOST_FRAMES = 40;

interface Outputs {
  /** File of picture i. */
  readonly file: (i: number) => string;
  readonly folder: string;
  readonly grid: string | undefined;
}

const isPng = (file: string): boolean => path.extname(file).toLowerCase() === '.png';

/** Where pictures go. @throws InputError when --out cannot hold what is asked for */
export function outputsOf(argv: Pick<GenerateArgs, 'out' | 'count' | 'seed' | 'grid'>): Outputs {
  const { out, count, seed, grid } = argv;
  const extension = path.extname(out).toLowerCase();
  if (['.jpg', '.jpeg', '.webp', '.gif'].includes(extension)) {
    throw new InputError(`pictures are written as PNG — --out ${out} — name a .png file or a folder`);
  }
  if (isPng(out)) {
    const stem = out.slice(0, -'.png'.length);
    const folder = path.dirname(out);
    if (count === 1)
      return {
        file: () => out,
        folder,
        grid: grid ? `${stem}-grid.png` : undefined,
      };
    // Several pictures and one file: the file is the sheet if one is asked for, and gives the pictures their names.
    return {
      file: (i) => `${stem}-${seed + i}.png`,
      folder,
      grid: grid ? out : undefined,
    };
  }
  return {
    file: (i) => path.join(out, `${seed + i}.png`),
    folder: out,
    grid: grid ? path.join(out, 'grid.png') : undefined,
  };
}

function check(argv: GenerateArgs): void {
  for (const [name, value] of Object.entries({
    count: argv.count,
    steps: argv.steps,
    size: argv.size,
    threads: argv.threads,
    batch: argv.batch,
  })) {
    if (value !== undefined && !(Number.isInteger(value) && value > 0)) {
      throw new InputError(`${value} is not possible — --${name} — give a whole number from 1`);
    }
  }
  const animation = argv.animate && path.extname(argv.animate).toLowerCase();
  if (argv.animate !== undefined && !ANIMATION_EXTENSIONS.some((known) => known === animation)) {
    throw new InputError(
      `cannot animate as '${argv.animate}' — --animate — name a file ${ANIMATION_EXTENSIONS.join(' or ')}`,
    );
  }
}

/** Labels as they are given on the command line: several with commas between. */
export function labelsOf(text: string | undefined): string[] | undefined {
  return text?.split(',').map((label) => label.trim());
}

/** The denoising of several pictures at once: frames by step, sheets of all pictures. */
class Animation {
  private readonly frames: RgbPicture[][] = [];

  constructor(private readonly every: number) {}

  wants(step: number, steps: number): boolean {
    return step === steps || (step - 1) % this.every === 0;
  }

  add(step: number, picture: RgbPicture): void {
    const index = Math.ceil((step - 1) / this.every);
    this.frames[index] = [...(this.frames[index] ?? []), picture];
  }

  async write(file: string): Promise<void> {
    // A stopped run has fewer pictures in its late frames: those that all have.
    const count = Math.min(...this.frames.map((f) => f.length));
    const sheets = await Promise.all(
      this.frames.map((f) => (f.length === 1 ? f[0] : contactSheet(f.slice(0, count)))),
    );
    await writeAnimation(file, sheets);
  }
}

export async function runGenerate(argv: GenerateArgs): Promise<void> {
  check(argv);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  const outputs = outputsOf(argv);
  const started = performance.now();
  const pipeline = await DiffusionPipeline.fromPretrained(argv.model, { engine, threads: argv.threads });
  try {
    const options: GenerateOptions = {
      count: argv.count,
      seed: argv.seed,
      label: labelsOf(argv.label),
      steps: argv.steps,
      scheduler: argv.scheduler,
      eta: argv.eta,
      guidanceScale: argv.guidance,
      size: argv.size,
    };
    // Bad options are found before anything is written.
    const scheduler = pipeline.scheduler(options);
    const steps = scheduler.timesteps.length;
    const schedulerName = String(scheduler.toConfig()._class_name);
    pipeline.sampleSize(argv.size);
    await makeFolder(outputs.folder);
    const images: { path: string; seed: number; label: string | null }[] = [];
    const animation = argv.animate ? new Animation(Math.max(1, Math.ceil(steps / MOST_FRAMES))) : undefined;
    const progress = startProgress({ label: 'draw', total: argv.count * steps, quiet: argv.quiet });
    const drawn: GeneratedPicture[] = [];
    const recipe = ({ seed, label, width, height }: GeneratedPicture): Recipe => ({
      model: argv.model,
      seed,
      scheduler: schedulerName,
      steps,
      eta: argv.eta ?? 0,
      label,
      guidance: label === null ? 1 : pipeline.condition(seed, label, argv.guidance).guidanceScale,
      width,
      height,
      engine,
      sumi: version(),
    });
    const finish = async () => {
      if (drawn.length === 0) return;
      if (outputs.grid) {
        await makeFolder(path.dirname(outputs.grid));
        await writePng(outputs.grid, await contactSheet(drawn, { zoom: zoomFor(drawn[0].width) }), {
          ...recipe(drawn[0]),
          count: drawn.length,
          label: argv.label ?? null,
        });
      }
      if (animation && argv.animate) {
        await makeFolder(path.dirname(argv.animate));
        await animation.write(argv.animate);
      }
    };
    try {
      await interruptible(async (signal) => {
        try {
          await pipeline.generate({
            ...options,
            signal,
            onStep: async ({ picture, step, preview }) => {
              progress.update(picture * steps + step);
              if (animation?.wants(step, steps)) animation.add(step, await preview());
            },
            onPicture: async (picture) => {
              const file = outputs.file(drawn.length);
              await writePng(file, picture, recipe(picture));
              drawn.push(picture);
              images.push({ path: file, seed: picture.seed, label: picture.label });
            },
          });
        } finally {
          progress.stop();
          await finish();
        }
      });
    } finally {
      progress.stop();
    }
    const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
    if (argv.json) {
      printJson({
        model: argv.model,
        engine,
        scheduler: schedulerName,
        steps,
        seconds,
        images,
        ...(outputs.grid ? { grid: outputs.grid } : {}),
        ...(argv.animate ? { animation: argv.animate } : {}),
      });
      return;
    }
    note(`${images.length} picture${images.length === 1 ? '' : 's'} in ${seconds.toFixed(1)} s`, {
      quiet: argv.quiet,
    });
    for (const file of [
      ...(outputs.grid ? [outputs.grid] : images.map((i) => i.path)),
      ...(argv.animate ? [argv.animate] : []),
    ])
      print(file);
  } finally {
    await pipeline.dispose();
  }
}

/** Small pictures are shown larger on a sheet. */
function zoomFor(width: number): number {
  return Math.max(1, Math.floor(128 / width));
}
