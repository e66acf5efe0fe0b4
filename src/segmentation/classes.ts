/** What the pixels of a mask stand for: names, the colours that masks have, the colours that people see. */
import { z } from 'zod';
import { InputError } from '../errors.js';
import { readBytes } from '../files/index.js';
import { parseColour } from '../image/index.js';

/** Red, green and blue in one number: 0xRRGGBB. */
export type Colour = number;

export interface SegmentClass {
  readonly name: string;
  /** The colour of its pixels in masks. */
  readonly mask: Colour;
  /** The colour that overlays and sheets show it in. */
  readonly colour: Colour;
}

/** The first class is the background; a pixel's label is an index into `classes`. */
export interface ClassTable {
  readonly classes: readonly SegmentClass[];
  /** Colours of pixels that count neither in training nor in measuring. */
  readonly ignore: readonly Colour[];
}

/** The label of pixels that do not count. */
export const IGNORED = 255;
export const MOST_CLASSES = 255;

/** Told apart at a glance, on photographs too; the background is not drawn. */
const SHOWN = [0x000000, 0xff3b30, 0x2f7bff, 0x34c759, 0xffcc00, 0xaf52de, 0xff9500, 0x00c7be, 0xff2d95];

export const hex = (colour: Colour): string => `#${colour.toString(16).padStart(6, '0')}`;
export const rgbOf = (colour: Colour): [number, number, number] => [
  colour >> 16,
  (colour >> 8) & 255,
  colour & 255,
];
export const isGrey = (colour: Colour): boolean => colour % 0x010101 === 0;

/** Distance of two colours in RGB. */
export function colourDistance(a: Colour, b: Colour): number {
  const [p, q] = [rgbOf(a), rgbOf(b)];
  return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
}

/** How far a colour is from the straight line between two others: what lies on it may be a blurred edge. */
export function distanceToMixture(colour: Colour, a: Colour, b: Colour): number {
  const [p, from, to] = [rgbOf(colour), rgbOf(a), rgbOf(b)];
  const way = to.map((v, i) => v - from[i]);
  const length = way.reduce((sum, v) => sum + v * v, 0);
  const along = way.reduce((sum, v, i) => sum + v * (p[i] - from[i]), 0) / (length || 1);
  const t = Math.max(0, Math.min(1, along));
  return Math.hypot(...way.map((v, i) => p[i] - from[i] - t * v));
}

/** Whether a colour lies between two classes, or is nearly one: anti-aliasing and lossy files make such ones. */
export function isBlurred(colour: Colour, known: readonly Colour[]): boolean {
  return known.some((a, i) => known.slice(i).some((b) => distanceToMixture(colour, a, b) <= 20));
}

const fileSchema = z.strictObject({
  classes: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        /** Colour in masks: `#rrggbb`, a CSS name, or a grey level. */
        mask: z.union([z.string(), z.number().int().min(0).max(255)]),
        colour: z.string().optional(),
      }),
    )
    .min(2)
    .max(MOST_CLASSES),
  ignore: z.array(z.union([z.string(), z.number().int().min(0).max(255)])).default([]),
});

/**
 * Reads a file of classes: `{"classes": [{"name": "background", "mask": "#000000"}, …], "ignore": ["#ffffff"]}`.
 * The first is the background. `mask` is the colour of the class in masks (a number: that grey), `colour` the one it is
 * shown in.
 * @throws InputError naming the key that is wrong
 */
export async function readClasses(path: string): Promise<ClassTable> {
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder().decode(await readBytes(path)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new InputError(`not JSON (${error.message}) — ${path} — see docs/segmentation.md for its form`);
  }
  return parseClasses(content, path);
}

/** Like `readClasses`, from a value. @param where for messages */
export async function parseClasses(content: unknown, where: string): Promise<ClassTable> {
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InputError(
      `${issue.path.join('.') || 'the whole'}: ${issue.message} — ${where} — see docs/segmentation.md for its form`,
    );
  }
  const colourOf = async (text: string | number): Promise<Colour> => {
    if (typeof text === 'number') return text * 0x010101;
    const [r, g, b] = await parseColour(text).catch(() => {
      throw new InputError(`no such colour: ${text} — ${where} — write it as #rrggbb or by name`);
    });
    return (r << 16) | (g << 8) | b;
  };
  const { classes, ignore } = parsed.data;
  const masks = await Promise.all(classes.map(({ mask }) => colourOf(mask)));
  const ignored = await Promise.all(ignore.map(colourOf));
  const shown = await Promise.all(classes.map(({ colour }) => (colour ? colourOf(colour) : null)));
  const used = [...masks, ...ignored];
  const twice = used.find((colour, i) => used.indexOf(colour) !== i);
  if (twice !== undefined)
    throw new InputError(`${hex(twice)} stands for two things — ${where} — give each class its own colour`);
  const names = classes.map(({ name }) => name);
  const again = names.find((name, i) => names.indexOf(name) !== i);
  if (again !== undefined)
    throw new InputError(`two classes are called ${again} — ${where} — give each its own name`);
  return { classes: withColours(names, masks, shown), ignore: ignored };
}

/** A table as `parseClasses` reads it. */
export const tableAsJson = ({ classes, ignore }: ClassTable) => ({
  classes: classes.map(({ name, mask, colour }) => ({ name, mask: hex(mask), colour: hex(colour) })),
  ignore: ignore.map(hex),
});

/** Masks in grey would be told apart badly: such classes are shown in colours of their own. */
function withColours(
  names: readonly string[],
  masks: readonly Colour[],
  shown: readonly (Colour | null)[] = [],
): SegmentClass[] {
  const grey = masks.every(isGrey);
  return names.map((name, i) => ({
    name,
    mask: masks[i],
    colour: shown[i] ?? (grey ? SHOWN[i === 0 ? 0 : 1 + ((i - 1) % (SHOWN.length - 1))] : masks[i]),
  }));
}

/**
 * Finds the classes that masks have by their colours. Greys below 32 are numbers of classes, all of them; black and one
 * other colour are background and object; of other colours, rare ones between two frequent ones are blurred edges.
 * @param counts pixels of each colour over all masks
 * @throws InputError for more colours than classes can have
 */
export function deriveClasses(counts: ReadonlyMap<Colour, number>, where: string): ClassTable {
  const colours = [...counts.keys()];
  const numbers = colours.every((colour) => isGrey(colour) && colour % 256 < 32);
  const chosen: Colour[] = [];
  for (const [colour, count] of [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])) {
    const blurred =
      !numbers &&
      isBlurred(
        colour,
        chosen.filter((other) => (counts.get(other) ?? 0) > 20 * count),
      );
    if (!blurred) chosen.push(colour);
    if (chosen.length > 64) {
      throw new InputError(
        `the masks have more than 64 colours — ${where} — name the classes in a --classes file, or write masks without blurred edges`,
      );
    }
  }
  chosen.sort((a, b) => a - b);
  // Without black, the most frequent colour is what the others lie on.
  const ground = chosen.includes(0) ? 0 : ([...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 0);
  const order = [ground, ...chosen.filter((colour) => colour !== ground)];
  const name = (colour: Colour, i: number) =>
    i === 0
      ? 'background'
      : order.length === 2
        ? 'object'
        : isGrey(colour)
          ? `class-${colour % 256}`
          : hex(colour);
  return { classes: withColours(order.map(name), order), ignore: [] };
}

/**
 * The label of each colour: its class, IGNORED, or the class with the nearest colour.
 * @returns a function of 0xRRGGBB
 */
export function labeller({ classes, ignore }: ClassTable): (colour: Colour) => number {
  const known = new Map<Colour, number>(classes.map(({ mask }, i) => [mask, i]));
  for (const colour of ignore) known.set(colour, IGNORED);
  const candidates = [...known];
  return (colour) => {
    let label = known.get(colour);
    if (label === undefined) {
      let best = Number.POSITIVE_INFINITY;
      for (const [other, value] of candidates) {
        const distance = colourDistance(colour, other);
        if (distance < best) [best, label] = [distance, value];
      }
      known.set(colour, label as number);
    }
    return label as number;
  };
}
