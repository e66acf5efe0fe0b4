/**
 * Text inside PNG files (PNG specification, third edition, §5 and §11.3.3): chunks are length, type, data and
 * CRC-32. sharp writes the pixels; this adds and finds the words.
 */
import { crc32, inflateSync } from 'node:zlib';
import { InputError } from '../errors.js';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

interface Chunk {
  type: string;
  data: Buffer;
  /** Offset of the first byte after the chunk. */
  end: number;
}

function* chunksOf(png: Buffer, name: string): Generator<Chunk> {
  if (!png.subarray(0, 8).equals(SIGNATURE))
    throw new InputError(`not a PNG file — ${name} — give a PNG that Sumi wrote`);
  let at = 8;
  while (at < png.length) {
    const damaged = () => new InputError(`the PNG is damaged at byte ${at} — ${name} — write it again`);
    if (at + 12 > png.length) throw damaged();
    const length = png.readUInt32BE(at);
    const end = at + 12 + length;
    if (end > png.length || crc32(png.subarray(at + 4, end - 4)) !== png.readUInt32BE(end - 4))
      throw damaged();
    const type = png.toString('latin1', at + 4, at + 8);
    yield { type, data: png.subarray(at + 8, end - 4), end };
    if (type === 'IEND') return;
    at = end;
  }
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, crc]);
}

/**
 * Adds text to a PNG as an uncompressed iTXt chunk (UTF-8) after the header.
 * @param keyword 1…79 Latin-1 characters
 */
export function addText(png: Uint8Array, keyword: string, text: string): Buffer {
  const bytes = Buffer.from(png);
  const header = chunksOf(bytes, 'picture').next().value as Chunk;
  // keyword, NUL, not compressed, method 0, no language, no translated keyword
  const data = Buffer.concat([
    Buffer.from(keyword, 'latin1'),
    Buffer.from([0, 0, 0, 0, 0]),
    Buffer.from(text, 'utf8'),
  ]);
  return Buffer.concat([bytes.subarray(0, header.end), chunk('iTXt', data), bytes.subarray(header.end)]);
}

/**
 * Finds the text of a keyword in a PNG: iTXt, tEXt or zTXt, for editors that save a picture write them anew.
 * @returns null when there is none
 * @throws InputError when it is not a PNG or a damaged one
 */
export function findText(png: Uint8Array, keyword: string, name = 'picture'): string | null {
  for (const { type, data } of chunksOf(Buffer.from(png), name)) {
    if (type !== 'iTXt' && type !== 'tEXt' && type !== 'zTXt') continue;
    const nul = data.indexOf(0);
    if (nul < 0 || data.toString('latin1', 0, nul) !== keyword) continue;
    try {
      if (type === 'tEXt') return data.toString('latin1', nul + 1);
      if (type === 'zTXt') return inflateSync(data.subarray(nul + 2)).toString('latin1');
      const compressed = data[nul + 1] === 1;
      const language = data.indexOf(0, nul + 3);
      const translated = data.indexOf(0, language + 1);
      const text = data.subarray(translated + 1);
      return (compressed ? inflateSync(text) : text).toString('utf8');
    } catch {
      throw new InputError(`the text in the PNG cannot be unpacked — ${name} — write the picture again`);
    }
  }
  return null;
}
