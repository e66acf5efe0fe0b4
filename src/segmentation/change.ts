/** What is another thing than it was: two pictures of one place, told apart by one model. */
import { InputError } from '../errors.js';
import type { RgbPicture } from '../image/index.js';
import type { ClassTable } from './classes.js';
import type { LabelMap } from './masks.js';
import { overlay } from './overlay.js';
import type { Prediction } from './predict.js';
import { connectedRegions } from './regions.js';

export interface Transition {
  readonly from: string;
  readonly to: string;
  readonly pixels: number;
  /** Of the picture. */
  readonly share: number;
}

export interface Change {
  /** [height, width], 1 where the class is another one. */
  readonly changed: LabelMap;
  /** Largest first. */
  readonly transitions: readonly Transition[];
  /** Pixels of each class before and after. */
  readonly classes: readonly { readonly name: string; readonly before: number; readonly after: number }[];
  /** Connected changed regions. */
  readonly regions: number;
  /** Of the picture that has changed. */
  readonly share: number;
}

/**
 * Compares two predictions pixel by pixel. Changes of fewer connected pixels than `minArea` are taken for uncertainty of
 * edges and left out.
 * @throws InputError when the pictures differ in size: they must show the same place from the same spot
 */
export function compareLabels(
  before: Pick<Prediction, 'labels'>,
  after: Pick<Prediction, 'labels'>,
  { classes }: ClassTable,
  { minArea = 9 }: { minArea?: number } = {},
): Change {
  const [a, b] = [before.labels, after.labels];
  const { width, height } = a;
  if (b.width !== width || b.height !== height) {
    throw new InputError(
      `the pictures are ${width}×${height} and ${b.width}×${b.height} — change — give two of one size, showing the same place`,
    );
  }
  const found = connectedRegions(
    Uint8Array.from(a.data, (label, i) => (label === b.data[i] ? 0 : 1)),
    a,
  );
  const areas = new Int32Array(found.count + 1);
  for (const region of found.data) areas[region]++;
  const data = Uint8Array.from(found.data, (region) => (region > 0 && areas[region] >= minArea ? 1 : 0));
  const pixels = new Map<string, Transition>();
  const counts = classes.map(({ name }) => ({ name, before: 0, after: 0 }));
  const total = width * height;
  a.data.forEach((label, i) => {
    counts[label].before++;
    // What is left out has stayed what it was.
    counts[data[i] ? b.data[i] : label].after++;
    if (!data[i]) return;
    const [from, to] = [classes[label].name, classes[b.data[i]].name];
    const n = (pixels.get(`${from} ${to}`)?.pixels ?? 0) + 1;
    pixels.set(`${from} ${to}`, { from, to, pixels: n, share: n / total });
  });
  const transitions = [...pixels.values()].sort((p, q) => q.pixels - p.pixels);
  const changed = transitions.reduce((sum, t) => sum + t.pixels, 0);
  return {
    changed: { data, width, height },
    transitions,
    classes: counts,
    regions: areas.filter((area, region) => region > 0 && area >= minArea).length,
    share: changed / total,
  };
}

/** The later picture with what is new in its class's colour, and what is background now in grey. */
export function changeOverlay(
  picture: RgbPicture,
  after: LabelMap,
  { changed }: Change,
  table: ClassTable,
): RgbPicture {
  const gone = table.classes.length;
  const shown = { classes: [...table.classes, { name: 'gone', mask: 0, colour: 0xb0b0b0 }], ignore: [] };
  const data = Uint8Array.from(after.data, (label, i) => (changed.data[i] ? label || gone : 0));
  return overlay(picture, { ...after, data }, shown);
}
