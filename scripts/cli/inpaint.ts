/** What `sumi inpaint` does with its options. */
import type { Engine } from '../../src/engine/engines.js';
import { InputError } from '../../src/errors.js';
import { decodeWithAlpha, writePngWithAlpha } from '../../src/image/alpha.js';
import { maskStatistics, readMask, type Size } from '../../src/image/index.js';
import {
  type InpaintedPicture,
  inpaint,
  inpaintDefaults,
  inpaintDefaultsOf,
} from '../../src/pipelines/index.js';
import { growMask, predictFile, readSegmentModel, Segmenter } from '../../src/segmentation/index.js';
import type { InpaintArgs } from '../inpaint.js';
import { checkDrawingArgs, runDrawing } from './drawing.js';
import { warn } from './report.js';
import { classNumbers } from './segment-predict.js';

/** Above this share of white a mask looks as if black and white were taken for each other. */
const SUSPICIOUS = 0.85;

/**
 * The mask as numbers, 1 is painted.
 * @throws InputError when it does not fit the picture or paints nothing
 */
async function readPaintMask(argv: InpaintArgs, size: Size) {
  const from = await maskSource(argv, size);
  const invert = argv['invert-mask'];
  const turned = invert ? from.data.map((m) => 1 - m) : from.data;
  const data = growMask(turned, size, argv['mask-grow'] ?? 0);
  const { allWhite, allBlack, painted } = maskStatistics(data);
  const [white, black] = invert ? ['black', 'white'] : ['white', 'black'];
  const { name } = from;
  if (allBlack) {
    throw new InputError(
      from.found
        ? `nothing is painted: the model finds none of ${from.found} in the picture — ${name} — give other --mask-classes, or a --mask`
        : `the mask is ${black} everywhere, so nothing is painted — ${name} — make ${white} what is to be drawn anew, or ${invert ? 'leave out' : 'use'} --invert-mask`,
    );
  }
  if (allWhite)
    warn(`the mask is ${white} everywhere: nothing of the picture is kept, all is drawn anew — ${name}`);
  else if (painted > SUSPICIOUS) {
    warn(
      `the mask paints ${Math.round(painted * 100)} % of the picture (${white} is drawn anew) — ${name} — ${invert ? 'leave out' : 'use'} --invert-mask if it is the other way round`,
    );
  }
  return { data, ...size, painted };
}

interface MaskSource {
  readonly data: Float32Array;
  /** For messages. */
  readonly name: string;
  /** The classes that a model looked for; null for a mask's file. */
  readonly found: string | null;
}

async function maskSource(argv: InpaintArgs, size: Size): Promise<MaskSource> {
  const { mask: file, 'mask-from': source } = argv;
  if (source !== undefined) return segmentedMask(source, argv);
  if (argv['mask-classes'] !== undefined)
    throw new InputError(
      'a mask’s file has no classes — --mask-classes — give --mask-from segment:MODEL, or leave it out',
    );
  if (file === undefined)
    throw new InputError('no mask — sumi inpaint — give --mask FILE, or --mask-from segment:MODEL');
  const mask = await readMask(file, { picture: size, size });
  if (mask.warning) warn(`${mask.warning} — ${file}`);
  return { data: mask.data, name: file, found: null };
}

/** What a segmentation model finds in the picture. */
async function segmentedMask(source: string, argv: InpaintArgs): Promise<MaskSource> {
  const [, path] = /^segment:(.+)$/.exec(source) ?? [];
  if (path === undefined)
    throw new InputError(`no such source of masks: ${source} — --mask-from — write segment:MODEL`);
  const model = await readSegmentModel(path);
  const { classes } = model.table;
  const chosen =
    classNumbers(argv['mask-classes'], model, '--mask-classes') ?? classes.map((_, i) => i).slice(1);
  const segmenter = new Segmenter(model, { engine: argv.engine as Engine, threads: argv.threads });
  try {
    const { labels } = await predictFile(segmenter, argv.image);
    const data = Float32Array.from(labels.data, (label) => (chosen.includes(label) ? 1 : 0));
    return { data, name: source, found: chosen.map((c) => classes[c].name).join(', ') };
  } finally {
    await segmenter.dispose();
  }
}

export async function runInpaint(argv: InpaintArgs): Promise<void> {
  checkDrawingArgs(argv);
  const { method, area, jumps, 'jump-length': jumpLength } = argv;
  const image = await decodeWithAlpha(argv.image);
  const size = { width: image.width, height: image.height };
  const mask = await readPaintMask(argv, size);
  const painted = Math.round(mask.painted * 1e4) / 1e4;
  await runDrawing<InpaintedPicture>({
    argv,
    facts: ({ model }) => {
      // A network that was trained to fill in has a way of its own.
      if (model.paints) return {};
      const used = method ?? inpaintDefaults.method;
      return { method: used, ...(used === 'repaint' ? { jumpLength, jumps } : {}) };
    },
    defaults: inpaintDefaultsOf,
    reported: { painted },
    draw: (pipeline, options, onPicture) =>
      inpaint(pipeline, {
        ...options,
        image,
        mask,
        method,
        jumpLength,
        jumps,
        area,
        blend: argv.blend,
        feather: argv.feather,
        onPicture,
      }),
    write: (file, picture, recipe) => {
      const { left, top, side } = picture.region;
      const region = { left, top, side };
      const { blend, feather } = picture;
      return writePngWithAlpha(file, picture, { ...recipe, painted, blend, feather, region });
    },
  });
}
