/** Things counted and measured. */
import type { ClassTable } from './classes.js';
import { csv } from './csv.js';
import type { LabelMap } from './masks.js';
import { connectedRegions, type Regions, splitTouching } from './regions.js';
import type { Probabilities } from './segmenter.js';

export interface Instance {
  /** From 1, within its picture. */
  readonly id: number;
  /** Name of its class. */
  readonly class: string;
  /** Pixels. */
  readonly area: number;
  /** Middle of its pixels, in pixels from the left and upper edge (the first pixel's middle is 0.5). */
  readonly x: number;
  readonly y: number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Of a disc of the same area. */
  readonly diameter: number;
  /** Whether it reaches the picture's edge, and may go on beyond. */
  readonly edge: boolean;
  /** Mean probability of its class over its pixels; null without probabilities. */
  readonly probability: number | null;
}

export interface InstanceOptions {
  /** Divide things of one class that touch. */
  readonly split?: boolean;
  /** See `splitTouching`. */
  readonly neck?: number;
  /** Smaller things do not count; default 9 pixels. */
  readonly minArea?: number;
}

export interface Instances {
  readonly list: readonly Instance[];
  /** [height, width], the id of each pixel's thing, 0 where there is none. */
  readonly ids: Int32Array;
}

/** Finds the things of every class but the background. */
export function findInstances(
  labels: LabelMap,
  { classes }: ClassTable,
  { split = false, neck, minArea = 9 }: InstanceOptions = {},
  probabilities?: Probabilities,
): Instances {
  const ids = new Int32Array(labels.data.length);
  const list: Instance[] = [];
  for (let c = 1; c < classes.length; c++) {
    const member = Uint8Array.from(labels.data, (label) => (label === c ? 1 : 0));
    const regions = split ? splitTouching(member, labels, neck) : connectedRegions(member, labels);
    const chance = probabilities && ((i: number) => probabilities.data[i * probabilities.classes + c]);
    const found = measureRegions(regions, chance);
    const kept = found.map((m) =>
      m.area >= minArea ? list.push({ ...m, id: list.length + 1, class: classes[c].name }) : 0,
    );
    regions.data.forEach((region, i) => {
      if (region > 0) ids[i] = kept[region - 1];
    });
  }
  return { list, ids };
}

function measureRegions(
  { data, width, height, count }: Regions,
  chance?: (pixel: number) => number,
): Omit<Instance, 'id' | 'class'>[] {
  const sums = Array.from({ length: count }, () => ({
    area: 0,
    x: 0,
    y: 0,
    left: width,
    right: -1,
    top: height,
    bottom: -1,
    chance: 0,
  }));
  data.forEach((region, i) => {
    if (region === 0) return;
    const sum = sums[region - 1];
    const [x, y] = [i % width, Math.floor(i / width)];
    sum.area++;
    sum.x += x + 0.5;
    sum.y += y + 0.5;
    sum.left = Math.min(sum.left, x);
    sum.right = Math.max(sum.right, x);
    sum.top = Math.min(sum.top, y);
    sum.bottom = Math.max(sum.bottom, y);
    sum.chance += chance?.(i) ?? 0;
  });
  return sums.map(({ area, x, y, left, right, top, bottom, chance: total }) => ({
    area,
    x: x / area,
    y: y / area,
    left,
    top,
    width: right - left + 1,
    height: bottom - top + 1,
    diameter: 2 * Math.sqrt(area / Math.PI),
    edge: left === 0 || top === 0 || right === width - 1 || bottom === height - 1,
    probability: chance ? total / area : null,
  }));
}

const COLUMNS = [
  'id',
  'class',
  'area',
  'x',
  'y',
  'left',
  'top',
  'width',
  'height',
  'diameter',
  'edge',
  'probability',
] as const;

/** A table with a line for each thing. */
export const instancesCsv = (
  pictures: readonly { readonly image: string; readonly list: readonly Instance[] }[],
): string =>
  csv(
    ['image', ...COLUMNS],
    pictures.flatMap(({ image, list }) =>
      list.map((instance) => [image, ...COLUMNS.map((column) => instance[column])]),
    ),
  );
