/** Outlines of a mask along the edges of its pixels, as SVG and GeoJSON. */
import type { Size } from '../image/index.js';
import { type ClassTable, hex } from './classes.js';
import type { Instance } from './instances.js';

/** A closed line; the last point is not the first one again. In pixels from the left and upper edge. */
export type Ring = readonly (readonly [number, number])[];

export interface Polygon {
  readonly outer: Ring;
  readonly holes: readonly Ring[];
}

/** Twice the signed area: positive with the inside to the right of the way where y points down. */
function doubleArea(ring: Ring): number {
  let sum = 0;
  for (const [i, [x, y]] of ring.entries()) {
    const [u, v] = ring[(i + 1) % ring.length];
    sum += x * v - u * y;
  }
  return sum;
}

/**
 * Traces the outlines of the pixels that belong: closed lines along pixel edges, corners only, the inside on the right.
 * Pixels that touch by a corner belong together.
 */
export function traceRings(member: (pixel: number) => boolean, { width, height }: Size): Ring[] {
  const inside = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < width && y < height && member(y * width + x);
  // Edges by where they start: right 0, down 1, left 2, up 3.
  const steps = [
    [1, 0],
    [0, 1],
    [-1, 0],
    [0, -1],
  ] as const;
  const key = (x: number, y: number, way: number) => (y * (width + 1) + x) * 4 + way;
  const open = new Set<number>();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!inside(x, y)) continue;
      if (!inside(x, y - 1)) open.add(key(x, y, 0));
      if (!inside(x + 1, y)) open.add(key(x + 1, y, 1));
      if (!inside(x, y + 1)) open.add(key(x + 1, y + 1, 2));
      if (!inside(x - 1, y)) open.add(key(x, y + 1, 3));
    }
  }
  const rings: Ring[] = [];
  for (const start of open) {
    const ring: [number, number][] = [];
    let way = start % 4;
    let [x, y] = [Math.floor(start / 4) % (width + 1), Math.floor(start / 4 / (width + 1))];
    let edge = start;
    do {
      open.delete(edge);
      [x, y] = [x + steps[way][0], y + steps[way][1]];
      // At a corner where two pixels touch, the turn to the left goes on along the other one.
      const next = [3, 0, 1]
        .map((turn) => (way + turn) % 4)
        .find((w) => open.has(key(x, y, w)) || key(x, y, w) === start);
      if (next === undefined) break;
      if (next !== way) ring.push([x, y]);
      way = next;
      edge = key(x, y, way);
    } while (edge !== start);
    rings.push(ring);
  }
  return rings;
}

/** Outer lines with the holes that lie in them. */
export function polygonsOf(rings: readonly Ring[]): Polygon[] {
  const outers = rings
    .filter((ring) => doubleArea(ring) > 0)
    .map((outer) => ({ outer, holes: [] as Ring[] }));
  for (const hole of rings.filter((ring) => doubleArea(ring) < 0)) {
    const around = outers.filter(({ outer }) => contains(outer, hole));
    // Of several the smallest: a thing in the hole of another has its own holes.
    around.sort((a, b) => doubleArea(a.outer) - doubleArea(b.outer));
    around[0]?.holes.push(hole);
  }
  return outers;
}

/** Whether a ring lies in another that it does not cross, by a point beside its first edge. */
function contains(outer: Ring, ring: Ring): boolean {
  const [[x0, y0], [x1, y1]] = ring;
  // To the right of the edge of a hole lies what belongs to the outer ring.
  const [px, py] = [(x0 + x1) / 2 - Math.sign(y1 - y0) * 0.25, (y0 + y1) / 2 + Math.sign(x1 - x0) * 0.25];
  let odd = false;
  for (const [i, [x, y]] of outer.entries()) {
    const [u, v] = outer[(i + 1) % outer.length];
    if (y > py !== v > py && px < x + ((py - y) / (v - y)) * (u - x)) odd = !odd;
  }
  return odd;
}

/**
 * Leaves out points of a ring that lie within `tolerance` pixels of the line between those that stay (Douglas & Peucker
 * 1973), so that pixel steps become slanted lines; 0 leaves it as it is.
 */
export function simplifyRing(ring: Ring, tolerance: number): Ring {
  if (tolerance <= 0 || ring.length <= 4) return ring;
  // Two far points stay: the first, and the one farthest from it.
  const far = farthest(ring, (p) => Math.hypot(p[0] - ring[0][0], p[1] - ring[0][1]));
  const halves = [ring.slice(0, far + 1), [...ring.slice(far), ring[0]]];
  const out = halves.flatMap((half) => simplifyLine(half, tolerance).slice(0, -1));
  return out.length >= 3 ? out : ring;
}

function simplifyLine(line: Ring, tolerance: number): Ring {
  if (line.length <= 2) return line;
  const [a, b] = [line[0], line[line.length - 1]];
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
  const off = (p: readonly [number, number]) =>
    Math.abs((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])) / length;
  const at = farthest(line, off);
  if (off(line[at]) <= tolerance) return [a, b];
  return [
    ...simplifyLine(line.slice(0, at + 1), tolerance).slice(0, -1),
    ...simplifyLine(line.slice(at), tolerance),
  ];
}

function farthest(line: Ring, distance: (point: readonly [number, number]) => number): number {
  let best = 0;
  for (let i = 1; i < line.length; i++) if (distance(line[i]) > distance(line[best])) best = i;
  return best;
}

/** Points that a simplified outline may be off by, in pixels. */
export const TOLERANCE = 0.75;

/** The outlines of each thing. @param ids [height, width]: which thing a pixel belongs to, from 1 */
export function instancePolygons(
  ids: Int32Array,
  instances: readonly Instance[],
  size: Size,
  tolerance = TOLERANCE,
): { instance: Instance; polygons: Polygon[] }[] {
  return instances.map((instance) => {
    const { left, top, width, height } = instance;
    const member = (i: number) =>
      ids[(top + Math.floor(i / width)) * size.width + left + (i % width)] === instance.id;
    const place = (ring: Ring): Ring =>
      simplifyRing(ring, tolerance).map(([x, y]): [number, number] => [x + left, y + top]);
    const polygons = polygonsOf(traceRings(member, { width, height }));
    return {
      instance,
      polygons: polygons.map(({ outer, holes }) => ({ outer: place(outer), holes: holes.map(place) })),
    };
  });
}

type Outlines = ReturnType<typeof instancePolygons>;

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] as string);

/** An SVG of the picture's size: a group for each class, a path for each thing. */
export function contoursSvg(outlines: Outlines, { width, height }: Size, { classes }: ClassTable): string {
  const d = (ring: Ring) => `M${ring.map((p) => p.join(' ')).join('L')}Z`;
  const groups = classes.slice(1).map(({ name, colour }) => {
    const paths = outlines
      .filter(({ instance }) => instance.class === name)
      .map(({ instance, polygons }) => {
        const rings = polygons.flatMap(({ outer, holes }) => [outer, ...holes]);
        return `<path id="thing-${instance.id}" d="${rings.map(d).join('')}"/>`;
      });
    return `<g data-class="${escaped(name)}" fill="${hex(colour)}" fill-opacity="0.4" fill-rule="evenodd" stroke="${hex(colour)}" vector-effect="non-scaling-stroke"><title>${escaped(name)}</title>${paths.join('')}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">${groups.join('')}</svg>\n`;
}

/**
 * GeoJSON (RFC 7946) with a feature for each thing. Coordinates are pixels from the left and upper edge, y downwards: a
 * picture has no place on Earth.
 */
export function contoursGeoJson(outlines: Outlines): string {
  // Closed, the first point again at the end; outer rings go with the sum of RFC 7946's right-hand rule.
  const closed = (ring: Ring) => [...ring, ring[0]];
  const features = outlines.map(({ instance, polygons }) => ({
    type: 'Feature',
    id: instance.id,
    properties: { class: instance.class, area: instance.area, probability: instance.probability },
    geometry: {
      type: 'MultiPolygon',
      coordinates: polygons.map(({ outer, holes }) => [outer, ...holes].map(closed)),
    },
  }));
  return `${JSON.stringify({ type: 'FeatureCollection', features })}\n`;
}
