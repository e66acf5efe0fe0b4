/** A contact sheet: many pictures of one size on a page. */
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { asRgb, type FloatPicture, parseColour, type RgbPicture } from './picture.js';

export interface GridOptions {
  /** Default: as square as it gets, ceil(sqrt(count)). */
  columns?: number;
  /** Pixels between and around the pictures; default 2. */
  gap?: number;
  /** Default white. */
  background?: string;
  /** A line of text under each picture, in the order of the pictures; missing or empty ones stay blank. */
  labels?: readonly (string | null | undefined)[];
  /** Every pixel becomes a block of this side; default 1. */
  zoom?: number;
}

/** Height of a line of text under a picture of this width. */
const textHeight = (width: number) => Math.max(10, Math.min(18, Math.round(width / 5)));

/**
 * Lays out pictures row by row.
 * @param pictures all of one size
 * @returns RGB bytes
 * @throws InputError when there are none, sizes differ, or an option is unusable
 */
export async function contactSheet(
  pictures: readonly (RgbPicture | FloatPicture)[],
  options: GridOptions = {},
): Promise<RgbPicture> {
  if (pictures.length === 0) throw new InputError('no pictures — contact sheet — give at least one');
  const { columns = Math.ceil(Math.sqrt(pictures.length)), gap = 2, zoom = 1 } = options;
  checkWhole('columns', columns, 1);
  checkWhole('gap', gap, 0);
  checkWhole('zoom', zoom, 1);
  const cells = pictures.map((p) => enlarge(asRgb(p), zoom));
  const { width: w, height: h } = cells[0];
  for (const cell of cells)
    if (cell.width !== w || cell.height !== h)
      throw new InputError(
        `pictures of ${cell.width}×${cell.height} and ${w}×${h} — contact sheet — give pictures of one size`,
      );

  const background = await parseColour(options.background ?? '#ffffff');
  const line = options.labels?.some((label) => label) ? textHeight(w) : 0;
  const across = Math.min(columns, cells.length);
  const rows = Math.ceil(cells.length / columns);
  const width = gap + across * (w + gap);
  const height = gap + rows * (h + line + gap);
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = background[i % 3];
  const corners = cells.map((_, i) => ({
    left: gap + (i % columns) * (w + gap),
    top: gap + Math.floor(i / columns) * (h + line + gap),
  }));
  cells.forEach((cell, i) => {
    const { left, top } = corners[i];
    for (let y = 0; y < h; y++)
      data.set(cell.data.subarray(y * w * 3, (y + 1) * w * 3), ((top + y) * width + left) * 3);
  });
  const sheet = { data, width, height };
  if (line === 0) return sheet;
  const texts = corners.map(({ left, top }, i) => ({
    text: options.labels?.[i] ?? '',
    x: left + w / 2,
    y: top + h + line * 0.75,
  }));
  return writeTexts(sheet, texts, w, line, background);
}

function checkWhole(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new InputError(
      `${name} of ${value} is not possible — contact sheet — give a whole number from ${least}`,
    );
}

function enlarge(picture: RgbPicture, zoom: number): RgbPicture {
  if (zoom === 1) return picture;
  const { data, width, height } = picture;
  const out = new Uint8Array(data.length * zoom * zoom);
  for (let y = 0, at = 0; y < height * zoom; y++)
    for (let x = 0; x < width * zoom; x++)
      for (let c = 0; c < 3; c++)
        out[at++] = data[(Math.floor(y / zoom) * width + Math.floor(x / zoom)) * 3 + c];
  return { data: out, width: width * zoom, height: height * zoom };
}

async function writeTexts(
  sheet: RgbPicture,
  texts: { text: string; x: number; y: number }[],
  cellWidth: number,
  line: number,
  [r, g, b]: [number, number, number],
): Promise<RgbPicture> {
  const { data, width, height } = sheet;
  const ink = 0.299 * r + 0.587 * g + 0.114 * b > 127 ? '#222' : '#eee';
  const fontSize = Math.round(line * 0.72);
  // A letter of a sans-serif font is about 0.56 em wide; longer texts end in an ellipsis.
  const fits = Math.max(1, Math.floor(cellWidth / (fontSize * 0.56)));
  const lines = texts.map(({ text, x, y }) => {
    const letters = [...text];
    const shown = letters.length > fits ? `${letters.slice(0, fits - 1).join('')}…` : text;
    return `<text x="${x}" y="${y}">${escapeXml(shown)}</text>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><g font-family="sans-serif" font-size="${fontSize}" fill="${ink}" text-anchor="middle">${lines.join('')}</g></svg>`;
  const out = await sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .raw()
    .toBuffer();
  return { data: new Uint8Array(out), width, height };
}

/** Text as it may stand in SVG; characters that XML forbids become U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\u{fffd}');
}
