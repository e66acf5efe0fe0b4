/** Masks shown to people: laid over their picture, and beside it on sheets. */
import sharp from 'sharp';
import { contactSheet, type RgbPicture } from '../image/index.js';
import { type ClassTable, IGNORED, rgbOf } from './classes.js';
import type { LabelMap } from './masks.js';

/** How much of the picture shows through a class's colour. */
const VEIL = 0.5;

/**
 * The picture with each class but the background in its colour: half transparent inside, full at its edge. Ignored
 * pixels are grey.
 */
export function overlay(
  { data, width, height }: RgbPicture,
  labels: LabelMap,
  { classes }: ClassTable,
): RgbPicture {
  const colours = classes.map(({ colour }) => rgbOf(colour));
  const out = new Uint8Array(data);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const label = labels.data[at];
      if (label === 0) continue;
      const [r, g, b] = label === IGNORED ? [128, 128, 128] : colours[label];
      const edge =
        (x > 0 && labels.data[at - 1] !== label) ||
        (x < width - 1 && labels.data[at + 1] !== label) ||
        (y > 0 && labels.data[at - width] !== label) ||
        (y < height - 1 && labels.data[at + width] !== label);
      const veil = edge ? 0 : VEIL;
      out[at * 3] = Math.round(r + (data[at * 3] - r) * veil);
      out[at * 3 + 1] = Math.round(g + (data[at * 3 + 1] - g) * veil);
      out[at * 3 + 2] = Math.round(b + (data[at * 3 + 2] - b) * veil);
    }
  }
  return { data: out, width, height };
}

/** Brings a picture into a square cell, white around it; small ones are enlarged in whole steps, pixels staying pixels. */
async function cell({ data, width, height }: RgbPicture, side: number): Promise<RgbPicture> {
  const longest = Math.max(width, height);
  const zoom = longest <= side ? Math.floor(side / longest) : side / longest;
  const raw = { width, height, channels: 3 as const };
  const scaled = await sharp(data, { raw })
    .resize(Math.max(1, Math.round(width * zoom)), Math.max(1, Math.round(height * zoom)), {
      fit: 'fill',
      kernel: zoom >= 1 ? 'nearest' : 'lanczos3',
    })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width: w, height: h } = scaled.info;
  const [left, top] = [Math.floor((side - w) / 2), Math.floor((side - h) / 2)];
  const padded = await sharp(scaled.data, { raw: { width: w, height: h, channels: 3 } })
    .extend({ left, top, right: side - w - left, bottom: side - h - top, background: '#ffffff' })
    .raw()
    .toBuffer();
  return { data: new Uint8Array(padded), width: side, height: side };
}

export interface SheetRow {
  readonly picture: RgbPicture;
  readonly truth: LabelMap;
  readonly prediction: LabelMap;
}

/** Sides of a sheet's cells in pixels, at most. */
const CELL = 192;

/** A sheet of picture, truth and prediction side by side, a row for each picture, two rows beside each other. */
export async function segmentSheet(rows: readonly SheetRow[], table: ClassTable): Promise<RgbPicture> {
  const longest = Math.max(...rows.map(({ picture }) => Math.max(picture.width, picture.height)));
  const side = longest > CELL ? CELL : longest * Math.floor(CELL / longest);
  const cells = await Promise.all(
    rows.flatMap(({ picture, truth, prediction }) =>
      [picture, overlay(picture, truth, table), overlay(picture, prediction, table)].map((p) =>
        cell(p, side),
      ),
    ),
  );
  const titles = ['picture', 'truth', 'prediction'];
  return contactSheet(cells, {
    columns: rows.length > 3 ? 6 : 3,
    gap: 4,
    labels: cells.map((_, i) => titles[i % 3]),
  });
}
