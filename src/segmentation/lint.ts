/** Looks through masks before anything is trained on them: one report of what is wrong and what is odd. */
import { InputError } from '../errors.js';
import { oneLine } from '../files/index.js';
import { sizeOfPicture } from '../image/index.js';
import { type ClassTable, type Colour, deriveClasses, hex, isBlurred, labeller } from './classes.js';
import { countColours, readMaskColours } from './masks.js';
import type { Pair, Pairs } from './pairs.js';

export interface LintFinding {
  /** An error makes the data useless as they are; a warning tells what was made of something odd. */
  readonly level: 'error' | 'warning';
  readonly what: string;
  /** The masks or pictures it is true of. */
  readonly files: readonly string[];
  readonly todo: string;
}

export interface LintReport {
  readonly pairs: number;
  readonly table: ClassTable;
  /** How much there is of each class. */
  readonly classes: readonly { name: string; share: number; pictures: number }[];
  readonly findings: readonly LintFinding[];
}

/** A mask with more than this share of colours between classes is no mask of classes. */
const MOST_BLURRED = 0.25;

/**
 * Checks every pair. What cannot be read, has another size than its picture or has colours that stand for nothing is
 * an error; missing partners, blurred edges and classes without pixels are warnings.
 * @param table the classes; null: found by the colours of the masks
 * @throws InputError when no mask can be read, or there are too many colours to be classes
 */
export async function lintPairs(
  { pairs, unmasked, unused }: Pairs,
  table: ClassTable | null,
  { where = 'masks', onProgress, signal }: LintOptions = {},
): Promise<LintReport> {
  const found = new Findings();
  const masks: { pair: Pair; counts: Map<Colour, number> }[] = [];
  const all = new Map<Colour, number>();
  for (const [i, pair] of pairs.entries()) {
    signal?.throwIfAborted();
    const counts = await examine(pair, found);
    if (counts) {
      masks.push({ pair, counts });
      for (const [colour, count] of counts) all.set(colour, (all.get(colour) ?? 0) + count);
    }
    onProgress?.(i + 1, pairs.length);
  }
  if (masks.length === 0) {
    throw new InputError(`none of the ${pairs.length} masks can be used — ${where} — ${found.first()}`);
  }
  const known = table ?? deriveClasses(all, where);
  const label = labeller(known);
  const names = [...known.classes.map(({ mask }) => mask), ...known.ignore];
  const pixels = known.classes.map(() => 0);
  const pictures = known.classes.map(() => 0);
  for (const { pair, counts } of masks) {
    const seen = new Set<number>();
    let [blurred, total] = [0, 0];
    for (const [colour, count] of counts) {
      total += count;
      if (!names.includes(colour)) {
        if (isBlurred(colour, names)) blurred += count;
        else
          found.add(
            'error',
            `${hex(colour)} is no class’s colour`,
            pair.name,
            'name it in the --classes file',
          );
      }
      const id = label(colour);
      if (id >= pixels.length) continue;
      pixels[id] += count;
      seen.add(id);
    }
    for (const id of seen) pictures[id]++;
    if (blurred > MOST_BLURRED * total)
      found.add(
        'error',
        'most of the mask lies between two classes',
        pair.name,
        'is it a mask? write one colour a class',
      );
    else if (blurred > 0)
      found.add(
        'warning',
        'blurred edges: colours between classes count as the nearest',
        pair.name,
        'write masks without anti-aliasing, as PNG',
      );
  }
  known.classes.forEach(({ name }, id) => {
    if (pixels[id] === 0)
      found.add('warning', `no pixel is ${name}`, null, 'add pictures of it, or remove the class');
  });
  if (pixels.filter((n) => n > 0).length < 2)
    found.add('error', 'the masks have one class only', null, 'there is nothing to tell apart');
  for (const name of unmasked)
    found.add('warning', 'no mask: the picture is left out', name, 'add its mask, all background if need be');
  for (const name of unused)
    found.add('warning', 'no picture of this name: the mask is left out', name, 'add the picture');
  const total = pixels.reduce((a, b) => a + b, 0);
  return {
    pairs: pairs.length,
    table: known,
    classes: known.classes.map(({ name }, id) => ({
      name,
      share: pixels[id] / Math.max(1, total),
      pictures: pictures[id],
    })),
    findings: found.list(),
  };
}

export interface LintOptions {
  /** Names the masks in messages. */
  readonly where?: string;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** The colours of a mask that can be used; else what is wrong goes to the findings. */
async function examine(pair: Pair, found: Findings): Promise<Map<Colour, number> | null> {
  try {
    const size = await sizeOfPicture(pair.image);
    const mask = await readMaskColours(pair.mask);
    if (mask.width === size.width && mask.height === size.height) return countColours(mask);
    found.add(
      'error',
      `the mask is ${mask.width}×${mask.height}, the picture ${size.width}×${size.height}`,
      pair.name,
      'make them equal',
    );
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    found.add('error', oneLine(error), pair.name, 'mend or remove it');
  }
  return null;
}

/** Findings of the same kind are one, with several files. */
class Findings {
  private readonly found = new Map<string, LintFinding & { files: string[] }>();

  add(level: LintFinding['level'], what: string, file: string | null, todo: string): void {
    const key = `${level} ${what}`;
    const entry = this.found.get(key) ?? { level, what, files: [], todo };
    if (file !== null) entry.files.push(file);
    this.found.set(key, entry);
  }

  first(): string {
    const { what, files } = this.list()[0];
    return `${files[0]}: ${what}`;
  }

  /** Errors first. */
  list(): LintFinding[] {
    return [...this.found.values()].sort((a, b) => (a.level < b.level ? -1 : a.level > b.level ? 1 : 0));
  }
}

/** The findings as lines for people. */
export function lintLines({ pairs, classes, findings }: LintReport): string[] {
  const share = (x: number) => `${(100 * x).toPrecision(3)} %`;
  return [
    `${pairs} pictures with masks`,
    ...classes.map((c) => `  ${c.name}: ${share(c.share)} of the pixels, in ${c.pictures} pictures`),
    ...findings.map(({ level, what, files, todo }) => {
      const more = files.length > 3 ? ` and ${files.length - 3} more` : '';
      const list = files.length > 0 ? ` — ${files.slice(0, 3).join(', ')}${more}` : '';
      return `${level}: ${what}${list} — ${todo}`;
    }),
  ];
}
