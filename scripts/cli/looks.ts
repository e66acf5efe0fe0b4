/** Options of the looks that pictures are led to: a scribble, a palette. */
import type { Argv } from 'yargs';
import { decodeWithAlpha } from '../../src/image/alpha.js';
import { hexOf, readPalette } from '../../src/image/colours.js';
import type { Json } from '../../src/image/encode.js';
import { type LookOptions, PALETTE_STRENGTH, SCRIBBLE_STRENGTH } from '../../src/pipelines/looks.js';

export interface LookArgs {
  scribble?: string;
  'scribble-strength'?: number;
  palette?: string;
  'palette-strength'?: number;
}

export function lookOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('scribble', {
      type: 'string',
      describe: 'A PNG whose strokes and patches say roughly what colour goes where, on a transparent ground',
    })
    .option('scribble-strength', {
      type: 'number',
      describe: 'How closely it is followed, above 0 and up to 1 (default: 0.5)',
    })
    .option('palette', {
      type: 'string',
      describe: 'Colours to draw in, as #3b6fd4,#fc0, or a picture whose main colours are taken',
    })
    .option('palette-strength', {
      type: 'number',
      describe: 'How closely they are kept to, above 0 and up to 1 (default: 0.5)',
    });
}

/** Reads what they name. @throws InputError for files that are no pictures, and palettes that are none */
export async function looksOf(argv: LookArgs): Promise<LookOptions> {
  return {
    scribble: argv.scribble === undefined ? undefined : await decodeWithAlpha(argv.scribble),
    scribbleStrength: argv['scribble-strength'],
    palette: argv.palette === undefined ? undefined : await readPalette(argv.palette),
    paletteStrength: argv['palette-strength'],
  };
}

/** What a recipe says of them. */
export function lookFacts(argv: LookArgs, looks: LookOptions): Record<string, Json> {
  const { scribble, scribbleStrength = SCRIBBLE_STRENGTH } = looks;
  const { palette, paletteStrength = PALETTE_STRENGTH } = looks;
  return {
    ...(scribble && argv.scribble !== undefined && { scribble: argv.scribble, scribbleStrength }),
    ...(palette && { palette: palette.map(hexOf), paletteStrength }),
  };
}
