/** What `sumi interpolate` does with its options. */
import path from 'node:path';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { contactSheet, type Recipe, writeAnimation, writePng } from '../../src/image/index.js';
import {
  checkGuidance,
  checkSeed,
  type InterpolatedPicture,
  interpolate,
} from '../../src/pipelines/index.js';
import { stepStarts } from '../../src/schedulers/index.js';
import type { InterpolateArgs } from '../interpolate.js';
import { requireWhole } from './checks.js';
import { labelsOf } from './generate.js';
import { guidanceFacts, guidanceOf } from './guidance.js';
import { interruptible } from './interrupt.js';
import { loraFacts } from './lora.js';
import { openPipeline } from './opening.js';
import { prepareFiles } from './outputs.js';
import { type Progress, startProgress } from './progress.js';
import { promptFacts, promptOptions } from './prompt.js';
import { refineFacts } from './refining.js';
import { note, print, printJson } from './report.js';
import { speedFacts, speedOf } from './speed.js';
import { version } from './version.js';

/** @throws InputError for what is no list of seeds */
export function seedsOf(text: string): number[] {
  return text.split(',').map((part) => {
    const seed = part.trim() === '' ? Number.NaN : Number(part);
    if (!Number.isInteger(seed)) {
      throw new InputError(`'${part}' is no seed — --seeds — give whole numbers with commas between`);
    }
    checkSeed(seed);
    return seed;
  });
}

const kindOf = (out: string): 'animation' | 'sheet' | 'folder' => {
  const extension = path.extname(out).toLowerCase();
  if (extension === '.webp' || extension === '.gif') return 'animation';
  if (['.jpg', '.jpeg', '.tif', '.tiff', '.bmp'].includes(extension))
    throw new InputError(
      `cannot write as '${extension}' — --out ${out} — name a .webp, .gif or .png file, or a folder`,
    );
  return extension === '.png' ? 'sheet' : 'folder';
};

export async function runInterpolate(argv: InterpolateArgs): Promise<void> {
  const started = performance.now();
  const engine = argv.engine as Engine;
  requireEngine(engine);
  requireWhole(argv, ['frames', 'steps', 'threads', 'batch', 'fast']);
  checkGuidance(guidanceOf(argv));
  const seeds = seedsOf(argv.seeds);
  const kind = kindOf(argv.out);
  const frameFile = (i: number) => path.join(argv.out, `${String(i).padStart(4, '0')}.png`);
  const { pipeline, loras } = await openPipeline(argv);
  try {
    const label = labelsOf(argv.label, pipeline.labels);
    const sampling = {
      steps: argv.steps,
      scheduler: argv.scheduler,
      eta: argv.eta,
      guidanceScale: argv.guidance,
      ...promptOptions(argv),
      ...guidanceOf(argv),
      ...speedOf(argv),
    };
    const scheduler = pipeline.schedulerFor(sampling);
    const facts = {
      model: argv.model,
      engine,
      scheduler: String(scheduler.toConfig()._class_name),
      steps: stepStarts(scheduler).length,
      seeds,
      frames: argv.frames,
      closed: argv.closed,
      ...promptFacts(pipeline, argv),
      ...loraFacts(loras),
      ...guidanceFacts(argv, pipeline),
      ...speedFacts(argv),
      ...refineFacts(pipeline, argv),
    };
    const recipe = ({ width, height }: InterpolatedPicture, more: Recipe = {}): Recipe => ({
      ...facts,
      ...(label && { label }),
      ...more,
      width,
      height,
      sumi: version(),
    });
    await prepareFiles([kind === 'folder' ? frameFile(0) : argv.out]);
    const pictures: InterpolatedPicture[] = [];
    const add = async (picture: InterpolatedPicture) => {
      if (kind === 'folder') {
        const { position } = picture;
        await writePng(frameFile(pictures.length), picture, recipe(picture, { position }));
      }
      pictures.push(picture);
    };
    let progress: Progress | undefined;
    const finish = async () => {
      progress?.stop();
      if (pictures.length === 0) return;
      if (kind === 'sheet')
        await writePng(argv.out, await contactSheet(pictures, { columns: argv.frames }), recipe(pictures[0]));
      if (kind === 'animation') {
        const zoom = Math.max(1, Math.floor(256 / pictures[0].width));
        const frames = await Promise.all(
          pictures.map((picture) => contactSheet([picture], { zoom, gap: 0 })),
        );
        await writeAnimation(argv.out, frames, argv.closed ? { hold: 80 } : {});
      }
    };
    try {
      await interruptible((signal) =>
        interpolate(pipeline, {
          ...sampling,
          seeds,
          label,
          frames: argv.frames,
          closed: argv.closed,
          refine: argv.refine,
          signal,
          onStep: (done, total) => {
            progress ??= startProgress({ label: 'draw', total, quiet: argv.quiet });
            progress.update(done);
          },
          onPicture: add,
        }),
      );
    } catch (error) {
      await finish();
      if (pictures.length > 0) note(`kept ${pictures.length} pictures`, argv);
      throw error;
    }
    await finish();
    const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
    if (argv.json) return printJson({ ...facts, seconds, pictures: pictures.length, out: argv.out });
    note(`${pictures.length} pictures in ${seconds.toFixed(1)} s`, argv);
    print(argv.out);
  } finally {
    await pipeline.dispose();
  }
}
