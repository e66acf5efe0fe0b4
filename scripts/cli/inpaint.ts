/** What `sumi inpaint` does with its options. */
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { decodeRgb, makeFolder, maskStatistics, readMask, writePng } from '../../src/image/index.js';
import { DiffusionPipeline, inpaint } from '../../src/pipelines/index.js';
import type { InpaintArgs } from '../inpaint.js';
import { labelsOf, outputsOf } from './generate.js';
import { interruptible } from './interrupt.js';
import { startProgress } from './progress.js';
import { note, print, printJson, warn } from './report.js';
import { version } from './version.js';

/** Above this share of white a mask looks as if black and white were taken for each other. */
const SUSPICIOUS = 0.85;

async function maskOf(argv: InpaintArgs, size: { width: number; height: number }) {
  const mask = await readMask(argv.mask, { picture: size, size });
  if (mask.warning) warn(`${mask.warning} — ${argv.mask}`);
  const data = argv['invert-mask'] ? mask.data.map((m) => 1 - m) : mask.data;
  const { allWhite, allBlack, painted } = maskStatistics(data);
  if (allBlack) {
    throw new InputError(
      `the mask is black everywhere, so nothing is painted — ${argv.mask} — paint white what is to be drawn anew, or use --invert-mask`,
    );
  }
  if (allWhite) warn(`the mask is white everywhere: nothing of the picture is kept — ${argv.mask}`);
  else if (painted > SUSPICIOUS) {
    warn(
      `the mask paints ${Math.round(painted * 100)} % of the picture (white is drawn anew) — ${argv.mask} — use --invert-mask if it is the other way round`,
    );
  }
  return { data, ...size, painted };
}

export async function runInpaint(argv: InpaintArgs): Promise<void> {
  const engine = argv.engine as Engine;
  requireEngine(engine);
  if (!Number.isInteger(argv.count) || argv.count < 1) {
    throw new InputError(`${argv.count} is not possible — --count — give a whole number from 1`);
  }
  const started = performance.now();
  const outputs = outputsOf({ ...argv, grid: false });
  const image = await decodeRgb(argv.image);
  const mask = await maskOf(argv, { width: image.width, height: image.height });
  const pipeline = await DiffusionPipeline.fromPretrained(argv.model, { engine, threads: argv.threads });
  try {
    const scheduler = pipeline.scheduler(argv);
    const facts = {
      model: argv.model,
      engine,
      scheduler: String(scheduler.toConfig()._class_name),
      method: argv.method,
      steps: scheduler.timesteps.length,
    };
    await makeFolder(outputs.folder);
    const images: { path: string; seed: number; label: string | null }[] = [];
    const progress = startProgress({ label: 'draw', quiet: argv.quiet });
    try {
      await interruptible((signal) =>
        inpaint(pipeline, {
          image,
          mask,
          method: argv.method,
          jumpLength: argv['jump-length'],
          jumps: argv.jumps,
          feather: argv.feather,
          count: argv.count,
          seed: argv.seed,
          label: labelsOf(argv.label),
          steps: argv.steps,
          scheduler: argv.scheduler,
          eta: argv.eta,
          guidanceScale: argv.guidance,
          signal,
          onStep: (done) => progress.update(done),
          onPicture: async (picture) => {
            const file = outputs.file(images.length);
            const { seed, label } = picture;
            const recipe = {
              ...facts,
              seed,
              label,
              feather: argv.feather,
              painted: round(mask.painted),
              sumi: version(),
            };
            await writePng(file, picture, recipe);
            images.push({ path: file, seed, label });
          },
        }),
      );
    } finally {
      progress.stop();
    }
    const seconds = round((performance.now() - started) / 1000);
    if (argv.json) printJson({ ...facts, seconds, painted: round(mask.painted), images });
    else {
      note(`${images.length} picture${images.length === 1 ? '' : 's'} in ${seconds.toFixed(1)} s`, {
        quiet: argv.quiet,
      });
      for (const { path } of images) print(path);
    }
  } finally {
    await pipeline.dispose();
  }
}

const round = (x: number): number => Math.round(x * 1000) / 1000;
