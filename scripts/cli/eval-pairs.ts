/** `sumi eval --images A --pairs B`: two folders, picture by picture. */
import path from 'node:path';
import { scanDataset } from '../../src/data/index.js';
import { InputError } from '../../src/errors.js';
import { decodeRgb } from '../../src/image/index.js';
import { Extractor } from '../../src/metrics/extractor.js';
import { perceptualDistance, psnr, ssim } from '../../src/metrics/perceptual.js';
import { extractorName } from '../../src/metrics/report.js';
import type { EvalArgs } from '../eval.js';
import { startProgress } from './progress.js';
import { print, printJson } from './report.js';

interface PairFigures {
  readonly name: string;
  /** dB; null where the pictures are equal. */
  readonly psnr: number | null;
  readonly ssim: number;
  readonly perceptual: number;
}

/** Names of the pictures. @throws InputError when a folder lacks one that the other has */
async function sharedNames(a: string, b: string): Promise<string[]> {
  const namesIn = async (dir: string) => (await scanDataset(dir)).entries.map(({ name }) => name);
  const [inA, inB] = [await namesIn(a), await namesIn(b)];
  for (const [dir, own, other] of [
    [b, inB, inA],
    [a, inA, inB],
  ] as const) {
    const has = new Set(own);
    const lacking = other.find((name) => !has.has(name));
    if (lacking !== undefined)
      throw new InputError(`no picture ${lacking} — ${dir} — pairs are files of one name in both folders`);
  }
  return inA;
}

export async function runPairs(argv: EvalArgs, signal: AbortSignal): Promise<void> {
  const { images: a = '', pairs: b = '' } = argv;
  const names = await sharedNames(a, b);
  const extractor = await Extractor.open({ threads: argv.threads, taps: true });
  const progress = startProgress({ label: 'compare', total: names.length, quiet: argv.quiet });
  const pairs: PairFigures[] = [];
  try {
    for (const name of names) {
      signal.throwIfAborted();
      const [x, y] = [await decodeRgb(path.join(a, name)), await decodeRgb(path.join(b, name))];
      if (x.width !== y.width || x.height !== y.height)
        throw new InputError(
          `${x.width}×${x.height} against ${y.width}×${y.height} — ${name} — bring the pictures to one size`,
        );
      const ratio = psnr(x, y);
      const perceptual = await perceptualDistance(extractor, x, y);
      pairs.push({ name, psnr: Number.isFinite(ratio) ? ratio : null, ssim: ssim(x, y), perceptual });
      progress.update(pairs.length);
    }
  } finally {
    progress.stop();
    await extractor.dispose();
  }
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const ratios = pairs.flatMap(({ psnr }) => (psnr === null ? [] : [psnr]));
  const means = {
    // Of pairs that differ.
    psnr: ratios.length > 0 ? mean(ratios) : null,
    ssim: mean(pairs.map(({ ssim }) => ssim)),
    perceptual: mean(pairs.map(({ perceptual }) => perceptual)),
  };
  if (argv.json) return printJson({ folders: [a, b], extractor: extractor.identity, mean: means, pairs });
  const line = ({ name, psnr, ssim, perceptual }: PairFigures) =>
    `${(psnr?.toFixed(2) ?? 'equal').padStart(7)}  ${ssim.toFixed(4)}  ${perceptual.toFixed(4).padStart(10)}  ${name}`;
  print('PSNR dB    SSIM  perceptual  picture');
  for (const pair of pairs) print(line(pair));
  print(line({ name: `mean of ${pairs.length}`, ...means }));
  print(`features: ${extractorName(extractor.identity)}`);
}
