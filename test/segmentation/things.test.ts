/** Regions, distances, touching things, outlines, cut-outs. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import type { ClassTable } from '../../src/segmentation/classes.js';
import {
  contoursGeoJson,
  contoursSvg,
  instancePolygons,
  polygonsOf,
  type Ring,
  simplifyRing,
  traceRings,
} from '../../src/segmentation/contours.js';
import { cutOut, foregroundColours } from '../../src/segmentation/cutout.js';
import { findInstances, instancesCsv } from '../../src/segmentation/instances.js';
import { connectedRegions, distanceTransform, splitTouching } from '../../src/segmentation/regions.js';

const table: ClassTable = {
  classes: [
    { name: 'ground', mask: 0, colour: 0 },
    { name: 'thing, "odd"', mask: 0xffffff, colour: 0xff0000 },
  ],
  ignore: [],
};

function mask(width: number, height: number, inside: (x: number, y: number) => boolean) {
  const data = Uint8Array.from({ length: width * height }, (_, i) =>
    inside(i % width, Math.floor(i / width)) ? 1 : 0,
  );
  return { data, width, height };
}

const noise = (width: number, height: number, share: number, seed: number) => {
  const u = new Random(seed).uniform(width * height);
  return mask(width, height, (x, y) => u[y * width + x] < share);
};

/** Discs with their middles and radii. */
const discs = (...list: [number, number, number][]) =>
  mask(60, 40, (x, y) => list.some(([u, v, r]) => Math.hypot(x - u, y - v) <= r));

describe('regions', () => {
  it('touch by sides and corners', () => {
    const { count, data } = connectedRegions(Uint8Array.of(1, 0, 0, 0, 1, 0, 1, 0, 1), {
      width: 3,
      height: 3,
    });
    expect(count).toBe(1);
    expect([...data]).toEqual([1, 0, 0, 0, 1, 0, 1, 0, 1]);
    const apart = connectedRegions(Uint8Array.of(1, 0, 1, 0, 0, 0, 1, 1, 0), { width: 3, height: 3 });
    expect([...apart.data]).toEqual([1, 0, 2, 0, 0, 0, 3, 3, 0]);
  });

  it('have the distances that trying all pixels gives', () => {
    for (const [w, h, share, seed] of [
      [17, 11, 0.8, 1],
      [9, 23, 0.97, 2],
      [1, 12, 0.5, 3],
    ] as const) {
      const m = noise(w, h, share, seed);
      const got = distanceTransform(m.data, m);
      m.data.forEach((_, i) => {
        let least = Number.POSITIVE_INFINITY;
        m.data.forEach((other, j) => {
          if (!other)
            least = Math.min(least, Math.hypot((i % w) - (j % w), Math.floor(i / w) - Math.floor(j / w)));
        });
        expect(got[i]).toBeCloseTo(least, 4);
      });
    }
    expect(distanceTransform(Uint8Array.of(1, 1), { width: 2, height: 1 })[0]).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    ['one disc', [[20, 20, 12]], 1],
    [
      'two that touch',
      [
        [18, 20, 10],
        [37, 20, 10],
      ],
      2,
    ],
    [
      'two of different sizes',
      [
        [20, 20, 13],
        [37, 20, 5],
      ],
      2,
    ],
    [
      'three in a row',
      [
        [10, 20, 8],
        [25, 20, 8],
        [40, 20, 8],
      ],
      3,
    ],
    [
      'one with a dent',
      [
        [20, 20, 10],
        [24, 20, 10],
      ],
      1,
    ],
  ] as [string, [number, number, number][], number][])('of %s: %#', (_, list, count) => {
    const m = discs(...list);
    expect(splitTouching(m.data, m).count).toBe(count);
    expect(splitTouching(m.data, m, 1).count).toBe(connectedRegions(m.data, m).count);
  });

  it('that fill the picture are one', () => {
    const m = mask(8, 8, () => true);
    expect(splitTouching(m.data, m).count).toBe(1);
  });
});

describe('instances', () => {
  it('are measured', () => {
    const m = mask(20, 10, (x, y) => (x >= 3 && x < 8 && y >= 2 && y < 6) || x === 19);
    const { list, ids } = findInstances(m, table, { minArea: 1 });
    expect(list).toHaveLength(2);
    expect(list[0]).toMatchObject({ id: 1, area: 10, x: 19.5, edge: true });
    expect(list[1]).toMatchObject({
      id: 2,
      area: 20,
      x: 5.5,
      y: 4,
      left: 3,
      top: 2,
      width: 5,
      height: 4,
      edge: false,
    });
    expect(ids[2 * 20 + 3]).toBe(2);
    expect(findInstances(m, table, { minArea: 11 }).list.map((i) => i.area)).toEqual([20]);
  });

  it('are written as RFC 4180 has it', () => {
    const m = mask(4, 4, (x) => x < 3);
    const [head, line] = instancesCsv([{ image: 'a,b.png', list: findInstances(m, table).list }]).split(
      '\r\n',
    );
    expect(head).toBe('image,id,class,area,x,y,left,top,width,height,diameter,edge,probability');
    expect(line).toBe('"a,b.png",1,"thing, ""odd""",12,1.5,2,0,0,3,4,3.909,true,');
  });
});

const area = (ring: Ring) =>
  ring.reduce((sum, [x, y], i) => {
    const [u, v] = ring[(i + 1) % ring.length];
    return sum + (x * v - u * y) / 2;
  }, 0);

describe('outlines', () => {
  it('enclose just the pixels, holes and corners included', () => {
    for (let seed = 0; seed < 6; seed++) {
      const m = noise(13, 9, 0.55, seed);
      const polygons = polygonsOf(traceRings((i) => m.data[i] === 1, m));
      expect(polygons).toHaveLength(connectedRegions(m.data, m).count);
      const enclosed = polygons.reduce(
        (sum, p) => sum + area(p.outer) + p.holes.reduce((s, h) => s + area(h), 0),
        0,
      );
      expect(enclosed).toBe(m.data.reduce((a, b) => a + b, 0));
      expect(polygons.every(({ outer, holes }) => area(outer) > 0 && holes.every((h) => area(h) < 0))).toBe(
        true,
      );
    }
  });

  it('as SVG fill the same pixels again', async () => {
    const m = mask(40, 30, (x, y) => Math.abs(Math.hypot(x - 18, y - 14) - 9) < 3 || (x > 32 && y > 20));
    const { list, ids } = findInstances(m, table, { minArea: 1 });
    const svg = contoursSvg(instancePolygons(ids, list, m, 0), m, table)
      .replaceAll(/stroke="[^"]*"/g, '')
      .replace('fill-opacity="0.4"', 'shape-rendering="crispEdges"');
    const { data } = await sharp(Buffer.from(svg)).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
    expect(Uint8Array.from(m.data, (_, i) => (data[i * 4 + 3] > 127 ? 1 : 0))).toEqual(m.data);
    expect(svg).toContain('thing, &quot;odd&quot;');
  });

  it('lose points within the tolerance only', () => {
    const m = mask(60, 40, (x, y) => Math.hypot(x - 30, y - 20) < 15);
    const [ring] = traceRings((i) => m.data[i] === 1, m);
    const simple = simplifyRing(ring, 0.75);
    expect(simple.length).toBeLessThan(ring.length / 2);
    expect(Math.abs(area(simple) / area(ring) - 1)).toBeLessThan(0.03);
    for (const [x, y] of ring) {
      const off = simple.map(([a, b], i) => {
        const [u, v] = simple[(i + 1) % simple.length];
        const t = Math.max(
          0,
          Math.min(1, ((x - a) * (u - a) + (y - b) * (v - b)) / ((u - a) ** 2 + (v - b) ** 2)),
        );
        return Math.hypot(x - a - t * (u - a), y - b - t * (v - b));
      });
      expect(Math.min(...off)).toBeLessThanOrEqual(0.75 + 1e-9);
    }
  });

  it('as GeoJSON are closed, with the holes of each thing', () => {
    const m = mask(
      20,
      20,
      (x, y) => x > 2 && x < 15 && y > 2 && y < 15 && !(x > 6 && x < 10 && y > 6 && y < 10),
    );
    const { list, ids } = findInstances(m, table);
    const { features } = JSON.parse(contoursGeoJson(instancePolygons(ids, list, m, 0)));
    expect(features).toHaveLength(1);
    const [[outer, hole]] = features[0].geometry.coordinates;
    expect(outer).toHaveLength(5);
    expect(hole).toHaveLength(5);
    expect(outer[0]).toEqual(outer[4]);
    expect(features[0].properties).toMatchObject({ class: 'thing, "odd"', area: 135 });
  });
});

describe('a cut-out', () => {
  const [width, height] = [48, 48];
  const alpha = Float32Array.from({ length: width * height }, (_, i) => {
    const r = Math.hypot((i % width) - 24, Math.floor(i / width) - 24);
    return Math.max(0, Math.min(1, (18 - r) / 6));
  });
  const front = [200, 40, 60];
  const back = [20, 220, 90];
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const a = alpha[Math.floor(i / 3)];
    return Math.round(a * front[i % 3] + (1 - a) * back[i % 3]);
  });

  it('loses the background’s colour at its edge', () => {
    const cleaned = foregroundColours({ data, width, height }, alpha);
    const error = (pixels: Uint8Array) => {
      let [sum, n] = [0, 0];
      alpha.forEach((a, i) => {
        if (a < 0.15 || a > 0.95) return;
        for (let c = 0; c < 3; c++) sum += Math.abs(pixels[i * 3 + c] - front[c]);
        n += 3;
      });
      return sum / n;
    };
    expect(error(data)).toBeGreaterThan(40);
    expect(error(cleaned)).toBeLessThan(10);
    alpha.forEach((a, i) => {
      if (a === 1) expect(cleaned[i * 3]).toBe(data[i * 3]);
    });
  });

  it('is opaque inside, clear outside, and fades between, or not', () => {
    const cut = cutOut({ data, width, height }, alpha);
    const at = (x: number, y: number) => cut.alpha?.[y * width + x];
    expect([at(24, 24), at(0, 0)]).toEqual([255, 0]);
    expect(cut.alpha?.some((a) => a > 0 && a < 255)).toBe(true);
    expect([...cut.data.subarray(0, 3)]).toEqual([0, 0, 0]);
    const hard = cutOut({ data, width, height }, alpha, { softness: 0 });
    expect(hard.alpha?.every((a) => a === 0 || a === 255)).toBe(true);
  });
});
