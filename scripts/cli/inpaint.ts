/** What `sumi inpaint` does with its options. */
import { InputError } from '../../src/errors.js';
import { decodeWithAlpha, writePngWithAlpha } from '../../src/image/alpha.js';
import { maskStatistics, readMask } from '../../src/image/index.js';
import {
  type InpaintedPicture,
  inpaint,
  inpaintDefaults,
  inpaintDefaultsOf,
} from '../../src/pipelines/index.js';
import type { InpaintArgs } from '../inpaint.js';
import { checkDrawingArgs, runDrawing } from './drawing.js';
import { warn } from './report.js';

/** Above this share of white a mask looks as if black and white were taken for each other. */
const SUSPICIOUS = 0.85;

/** @throws InputError when the mask does not fit the picture or paints nothing */
async function readPaintMask(file: string, size: { width: number; height: number }, invert: boolean) {
  const mask = await readMask(file, { picture: size, size });
  if (mask.warning) warn(`${mask.warning} — ${file}`);
  const data = invert ? mask.data.map((m) => 1 - m) : mask.data;
  const { allWhite, allBlack, painted } = maskStatistics(data);
  const [white, black] = invert ? ['black', 'white'] : ['white', 'black'];
  if (allBlack) {
    throw new InputError(
      `the mask is ${black} everywhere, so nothing is painted — ${file} — make ${white} what is to be drawn anew, or ${invert ? 'leave out' : 'use'} --invert-mask`,
    );
  }
  if (allWhite)
    warn(`the mask is ${white} everywhere: nothing of the picture is kept, all is drawn anew — ${file}`);
  else if (painted > SUSPICIOUS) {
    warn(
      `the mask paints ${Math.round(painted * 100)} % of the picture (${white} is drawn anew) — ${file} — ${invert ? 'leave out' : 'use'} --invert-mask if it is the other way round`,
    );
  }
  return { data, ...size, painted };
}

export async function runInpaint(argv: InpaintArgs): Promise<void> {
  checkDrawingArgs(argv);
  const { method, area, jumps, 'jump-length': jumpLength } = argv;
  const image = await decodeWithAlpha(argv.image);
  const size = { width: image.width, height: image.height };
  const mask = await readPaintMask(argv.mask, size, argv['invert-mask']);
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
        feather: argv.feather,
        onPicture,
      }),
    write: (file, picture, recipe) => {
      const { left, top, side } = picture.region;
      const region = { left, top, side };
      return writePngWithAlpha(file, picture, { ...recipe, painted, feather: picture.feather, region });
    },
  });
}
