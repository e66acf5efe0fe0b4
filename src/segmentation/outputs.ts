/** The files that a prediction is written as. */
import { join } from 'node:path';
import sharp from 'sharp';
import { writeFileAtomic } from '../files/index.js';
import { encodePngWithAlpha } from '../image/alpha.js';
import { writePng } from '../image/index.js';
import type { ClassTable } from './classes.js';
import { contoursGeoJson, contoursSvg, instancePolygons } from './contours.js';
import { type CutoutOptions, cutOut } from './cutout.js';
import type { Instances } from './instances.js';
import { encodeMask } from './masks.js';
import { overlay } from './overlay.js';
import { foregroundOf, type Prediction } from './predict.js';

/** What can be written for each picture. */
export const OUTPUTS = ['mask', 'overlay', 'probabilities', 'cutout', 'svg', 'geojson', 'ids'] as const;
export type Output = (typeof OUTPUTS)[number];

export interface OutputOptions extends CutoutOptions {
  readonly kinds: readonly Output[];
  /** Numbers of the classes that a cut-out keeps; default all but the background. */
  readonly keep?: readonly number[];
  /** Of outlines, in pixels. */
  readonly tolerance?: number;
}

/** A class's name as a part of a file's name. */
const fileWord = (name: string): string =>
  name.replaceAll(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '') || 'class';

/** The names that a picture's files get. @param stem of the picture, with folders */
export function outputFiles(out: string, stem: string, kind: Output, { classes }: ClassTable): string[] {
  const base = join(out, stem);
  if (kind === 'mask') return [`${base}-mask.png`];
  if (kind === 'overlay') return [`${base}-overlay.png`];
  if (kind === 'cutout') return [`${base}-cutout.png`];
  if (kind === 'ids') return [`${base}-ids.png`];
  if (kind === 'svg') return [`${base}.svg`];
  if (kind === 'geojson') return [`${base}.geojson`];
  return classes.map(({ name }, i) => `${base}-probability-${i}-${fileWord(name)}.png`);
}

/** Writes a picture's files. @returns their paths by kind */
export async function writeOutputs(
  out: string,
  stem: string,
  { picture, probabilities, labels }: Prediction,
  instances: Instances,
  table: ClassTable,
  options: OutputOptions,
): Promise<Partial<Record<Output, string[]>>> {
  const { kinds, keep, tolerance } = options;
  const { width, height } = picture;
  const written: Partial<Record<Output, string[]>> = {};
  const outlines = instancePolygons(
    instances.ids,
    kinds.some((kind) => kind === 'svg' || kind === 'geojson') ? instances.list : [],
    labels,
    tolerance,
  );
  for (const kind of kinds) {
    const files = outputFiles(out, stem, kind, table);
    written[kind] = files;
    if (kind === 'mask') await writeFileAtomic(files[0], await encodeMask(labels, table));
    else if (kind === 'overlay') await writePng(files[0], overlay(picture, labels, table));
    else if (kind === 'svg') await writeFileAtomic(files[0], contoursSvg(outlines, picture, table));
    else if (kind === 'geojson') await writeFileAtomic(files[0], contoursGeoJson(outlines));
    else if (kind === 'cutout') {
      const cut = cutOut(picture, foregroundOf(probabilities, keep), options);
      await writeFileAtomic(
        files[0],
        await encodePngWithAlpha(cut, { cutout: (keep ?? []).map((c) => table.classes[c].name) }),
      );
    } else if (kind === 'ids') {
      // 16 bits hold more things than a picture has.
      const ids = Uint16Array.from(instances.ids);
      const raw = { width, height, channels: 1 as const };
      await writeFileAtomic(files[0], await sharp(ids, { raw }).toColourspace('grey16').png().toBuffer());
    } else {
      for (const [c, file] of files.entries()) {
        const grey = Uint8Array.from({ length: width * height }, (_, i) =>
          Math.round(255 * probabilities.data[i * probabilities.classes + c]),
        );
        const raw = { width, height, channels: 1 as const };
        await writeFileAtomic(file, await sharp(grey, { raw }).toColourspace('b-w').png().toBuffer());
      }
    }
  }
  return written;
}
