/** Mask files: any picture format, colours as they stand in the file. */
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { decodeError, openPicture } from '../image/decode.js';
import type { Size } from '../image/index.js';
import { type ClassTable, type Colour, IGNORED, isGrey, labeller, rgbOf } from './classes.js';

/** The colours of a mask: 0xRRGGBB for each pixel, row by row. */
export interface MaskColours extends Size {
  readonly data: Uint32Array;
}

/** A class for each pixel: [height, width], an index into the classes, or IGNORED. */
export interface LabelMap extends Size {
  readonly data: Uint8Array;
}

/**
 * Reads a mask: palette, grey and RGB files alike; what is transparent is black.
 * @param size brought to this size, by the nearest pixel
 * @throws InputError when it is missing, no picture, or has more than 8 bits a channel
 */
export async function readMaskColours(path: string, size?: Size): Promise<MaskColours> {
  try {
    const opened = await openPicture(path);
    const { depth } = await opened.metadata();
    if (depth !== 'uchar') {
      throw new InputError(
        `a mask of ${depth === 'ushort' ? '16 bits a channel' : depth} — ${path} — write masks with 8 bits: palette, grey or RGB`,
      );
    }
    let pipeline = opened.flatten({ background: { r: 0, g: 0, b: 0 } });
    if (size) pipeline = pipeline.resize(size.width, size.height, { fit: 'fill', kernel: 'nearest' });
    const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    const colours = new Uint32Array(width * height);
    for (let i = 0; i < colours.length; i++) {
      const at = i * channels;
      colours[i] = channels < 3 ? data[at] * 0x010101 : (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
    }
    return { data: colours, width, height };
  } catch (error) {
    throw decodeError(error, path);
  }
}

/** How many pixels each colour has. */
export function countColours({ data }: MaskColours): Map<Colour, number> {
  const counts = new Map<Colour, number>();
  for (const colour of data) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  return counts;
}

/** The class of each pixel; colours that are no class's become the nearest. */
export function labelMap({ data, width, height }: MaskColours, table: ClassTable): LabelMap {
  return { data: Uint8Array.from(data, labeller(table)), width, height };
}

/** A mask as a PNG in the masks' own colours: grey where they are all grey, else RGB. Ignored pixels are the first class. */
export async function encodeMask(
  { data, width, height }: LabelMap,
  { classes }: ClassTable,
): Promise<Buffer> {
  const colourAt = (i: number) => classes[data[i] === IGNORED ? 0 : data[i]].mask;
  const grey = classes.every(({ mask }) => isGrey(mask));
  const channels = grey ? 1 : 3;
  const bytes = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    if (grey) bytes[i] = colourAt(i) & 255;
    else bytes.set(rgbOf(colourAt(i)), i * 3);
  }
  return sharp(bytes, { raw: { width, height, channels }, limitInputPixels: false })
    .toColourspace(grey ? 'b-w' : 'srgb')
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toBuffer();
}
