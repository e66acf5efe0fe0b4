/**
 * How well holes of five kinds are painted, and at what cost, on pictures that the model was not trained on. In the holes
 * is a part of another picture, as of a thing that is to go: what a method lets through counts against it.
 *
 *   npm run bench:inpainting -- --data HELD --trained runs/inpaint/model
 */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { openDataset, pictureAt } from '../../src/data/index.js';
import { contactSheet, type RgbPicture, writePng } from '../../src/image/index.js';
import { Extractor, perceptualDistance } from '../../src/metrics/index.js';
import { DiffusionPipeline, type InpaintOptions, inpaint } from '../../src/pipelines/index.js';
import type { PaintMask } from '../../src/pipelines/paint-mask.js';
import { KINDS, maskOf } from './masks.js';
import { filledPlainly, overKinds, Scores } from './scores.js';

const argv = await yargs(hideBin(process.argv))
  .option('model', { type: 'string', default: 'characters', describe: 'A model of whole pictures' })
  .option('trained', { type: 'string', describe: 'A model of sumi train --inpaint' })
  .option('data', { type: 'string', demandOption: true, describe: 'Pictures that neither was trained on' })
  .option('count', { type: 'number', default: 64, describe: 'Pictures; the kinds of holes take turns' })
  .option('steps', { type: 'number', default: 30 })
  .option('seed', { type: 'number', default: 0 })
  .option('threads', { type: 'number' })
  .option('only', { type: 'string', describe: 'Regular expression: methods whose names match' })
  .option('sheet', { type: 'string', describe: 'PNG to write: picture, hole, and a row a method' })
  .strict()
  .parse();

type Method = Partial<InpaintOptions> & { readonly name: string; readonly trained?: boolean };

const repaint = (
  jumpLength: number,
  jumps: number,
  more: Partial<InpaintOptions> = {},
  name = '',
): Method => ({
  name: `repaint, length ${jumpLength}, ${jumps} jumps${name}`,
  method: 'repaint',
  jumpLength,
  jumps,
  ...more,
});

const METHODS: readonly Method[] = [
  { name: 'replace, not blended', method: 'replace', blend: 'none' },
  { name: 'replace', method: 'replace' },
  repaint(1, 2),
  repaint(3, 4, { blend: 'none' }, ', not blended'),
  repaint(3, 4, { blend: 'none', feather: 2 }, ', feathered by 2'),
  repaint(3, 4),
  repaint(3, 4, { label: undefined }, ', no label'),
  repaint(5, 4),
  repaint(3, 10),
  { name: 'trained to fill in, not blended', trained: true, blend: 'none' },
  { name: 'trained to fill in', trained: true },
  { name: 'trained to fill in, no label', trained: true, label: undefined },
];

interface Job {
  readonly kind: string;
  readonly truth: RgbPicture;
  /** The truth with a part of another picture in the hole. */
  readonly given: RgbPicture;
  readonly mask: PaintMask;
  readonly label: string | undefined;
  readonly seed: number;
  /** Of the truth to the hole filled plainly. */
  readonly plainDistance: number;
}

async function jobs(side: number, labels: readonly string[], extractor: Extractor): Promise<Job[]> {
  const { count, seed } = argv;
  const data = await openDataset(argv.data, { size: side });
  // Far apart, so that all labels are met.
  const apart = Math.max(1, Math.floor(data.count / count)) | 1;
  const all: Job[] = [];
  for (let i = 0; i < count; i++) {
    const kind = KINDS[i % KINDS.length];
    const index = (i * apart) % data.count;
    const truth = pictureAt(data, index);
    const other = pictureAt(data, (index + (data.count >> 1)) % data.count);
    const mask = maskOf(kind, side, Math.floor(i / KINDS.length), seed);
    const mixed = truth.data.map((value, k) => (mask.data[Math.floor(k / 3)] > 0 ? other.data[k] : value));
    const name = data.labels[data.labelIds[index]] as string | undefined;
    all.push({
      kind,
      truth,
      given: { ...truth, data: mixed },
      mask,
      label: name !== undefined && labels.includes(name) ? name : undefined,
      seed: seed + i,
      plainDistance: await perceptualDistance(extractor, truth, filledPlainly(truth, mask)),
    });
  }
  return all;
}

const { threads, steps } = argv;
const chosen = METHODS.filter(({ name, trained }) => {
  return (!trained || argv.trained !== undefined) && new RegExp(argv.only ?? '').test(name);
});
const extractor = await Extractor.open({ threads, taps: true });
const pipelines = new Map<boolean, DiffusionPipeline>();
const open = async (trained: boolean) => {
  const known = pipelines.get(trained);
  if (known) return known;
  const name = trained ? (argv.trained as string) : argv.model;
  const opened = await DiffusionPipeline.fromPretrained(name, { threads });
  pipelines.set(trained, opened);
  return opened;
};
try {
  const first = await open(chosen[0]?.trained ?? false);
  const todo = await jobs(first.pictureSize[0], first.labels, extractor);
  const rows: RgbPicture[][] = [todo.map(({ truth }) => truth), todo.map(({ given }) => given)];
  console.log('| | perceptual | PSNR | edge | step | s |\n|---|---|---|---|---|---|');
  for (const { name, trained = false, ...options } of chosen) {
    const pipeline = await open(trained);
    const kinds = new Map(KINDS.map((kind) => [kind, new Scores()]));
    const row: RgbPicture[] = [];
    for (const { kind, truth, given: image, mask, label, seed, plainDistance } of todo) {
      const started = performance.now();
      const [painted] = await inpaint(pipeline, { image, mask, label, seed, steps, ...options });
      const seconds = (performance.now() - started) / 1000;
      const distance = await perceptualDistance(extractor, truth, painted);
      kinds.get(kind)?.add(truth, painted, mask, { distance, plainDistance, seconds });
      row.push(painted);
    }
    rows.push(row);
    const { perceptual, psnr, seam, step, seconds } = overKinds([...kinds.values()]);
    const figures = [perceptual.toFixed(3), psnr.toFixed(1), seam.toFixed(1), step.toFixed(1)];
    console.log(`| ${name} | ${figures.join(' | ')} | ${seconds.toFixed(2)} |`);
    for (const [kind, scores] of kinds)
      console.error(
        `  ${kind}: ${scores.perceptual.toFixed(3)}, ${scores.psnr.toFixed(1)} dB, edge ${scores.seam.toFixed(1)}, step ${scores.step.toFixed(1)}`,
      );
  }
  if (argv.sheet) {
    const shown = rows.flatMap((row) => row.slice(0, 20));
    await writePng(argv.sheet, await contactSheet(shown, { columns: Math.min(20, argv.count), gap: 2 }));
  }
} finally {
  for (const pipeline of pipelines.values()) await pipeline.dispose();
  await extractor.dispose();
}
