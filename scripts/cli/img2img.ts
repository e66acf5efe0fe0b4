/** What `sumi img2img` does with its options. */
import { decodeRgb, writePng } from '../../src/image/index.js';
import { type GeneratedPicture, img2img } from '../../src/pipelines/index.js';
import type { Img2ImgArgs } from '../img2img.js';
import { checkDrawingArgs, runDrawing } from './drawing.js';
import { lookFacts, looksOf } from './looks.js';
import { refineFacts } from './refining.js';

export async function runImg2Img(argv: Img2ImgArgs): Promise<void> {
  checkDrawingArgs(argv);
  const { strength, refine } = argv;
  // Read before the model is, so that a wrong path is told at once.
  await decodeRgb(argv.image);
  const looks = await looksOf(argv);
  await runDrawing<GeneratedPicture>({
    argv,
    facts: (pipeline) => ({ strength, ...lookFacts(argv, looks), ...refineFacts(pipeline, { refine }) }),
    draw: async (pipeline, options, onPicture) => {
      const [height, width] = pipeline.pictureSize;
      const image = await decodeRgb(argv.image, { size: { width, height } });
      return img2img(pipeline, { ...options, ...looks, image, strength, refine, onPicture });
    },
    write: writePng,
  });
}
