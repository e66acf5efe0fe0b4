import { describe, expect, it } from 'vitest';
import { cutMask, feather, sampleMask } from '../../src/pipelines/paint-mask.js';
import { cutPicture, paste, regionOf } from '../../src/pipelines/region.js';
import { boxMask, noisyPicture } from './pictures.js';

const region = (
  width: number,
  height: number,
  box: readonly number[],
  area: 'auto' | 'mask' | 'whole' = 'mask',
) => regionOf(boxMask(width, height, box), 16, area);

describe('the region that the model sees', () => {
  it('is the whole of a picture of its size or smaller', () => {
    expect(region(16, 16, [1, 1, 2, 2])).toEqual({ left: 0, top: 0, side: 16 });
    expect(region(12, 16, [1, 1, 2, 2])).toEqual({ left: -2, top: 0, side: 16 });
    expect(region(9, 7, [1, 1, 2, 2])).toEqual({ left: 0, top: -1, side: 9 });
  });

  it('is of its own size around a small mask, within the picture', () => {
    expect(region(100, 80, [50, 40, 54, 44])).toEqual({ left: 44, top: 34, side: 16 });
    expect(region(100, 80, [0, 76, 4, 80])).toEqual({ left: 0, top: 64, side: 16 });
  });

  it('is half as large again as a large mask, as far as the picture goes', () => {
    expect(region(100, 80, [20, 30, 60, 50])).toEqual({ left: 10, top: 10, side: 60 });
    expect(region(100, 80, [10, 10, 70, 50])).toEqual({ left: 0, top: 0, side: 80 });
    // Wider than the picture is high: it must reach beyond it.
    expect(region(100, 40, [0, 0, 90, 40])).toEqual({ left: 0, top: -30, side: 100 });
  });

  it('is the square around the picture on demand', () => {
    expect(region(100, 80, [50, 40, 54, 44], 'whole')).toEqual({ left: 0, top: -10, side: 100 });
  });

  it('is by default the whole up to four times its size', () => {
    expect(region(64, 60, [50, 40, 54, 44], 'auto')).toEqual({ left: 0, top: -2, side: 64 });
    expect(region(65, 60, [50, 40, 54, 44], 'auto')).toEqual({ left: 44, top: 34, side: 16 });
  });

  it('is cut out pixel for pixel, the edge going on beyond the picture', async () => {
    const picture = noisyPicture(3, 5);
    const cut = await cutPicture(picture, { left: -1, top: 0, side: 5 }, 5);
    const row = (y: number) =>
      [0, 0, 1, 2, 2].flatMap((x) => [...picture.data.subarray((y * 3 + x) * 3).slice(0, 3)]);
    expect([...cut.data]).toEqual([0, 1, 2, 3, 4].flatMap(row));
  });

  it('comes back to where it was', async () => {
    const picture = noisyPicture(40, 30);
    const where = { left: 20, top: 4, side: 16 };
    const drawn = new Float32Array(16 * 16 * 3).fill(1);
    const pasted = await paste(picture, boxMask(40, 30, [22, 6, 24, 7]), where, drawn, 16);
    const expected = picture.data.slice().fill(255, (6 * 40 + 22) * 3, (6 * 40 + 24) * 3);
    expect([...pasted.data]).toEqual([...expected]);
  });
});

describe('masks', () => {
  it('shrink so that all that is touched is painted', () => {
    const mask = boxMask(8, 8, [3, 3, 5, 4], 0.25);
    const cut = cutMask(mask, { left: 0, top: 0, side: 8 }, 4);
    expect([...cut]).toEqual([0, 0, 0, 0, 0, 0.25, 0.25, 0, ...new Array(8).fill(0)]);
    expect([...sampleMask(cut, 4, 2, 1, 0)]).toEqual([1, 1, 0, 0]);
    const single = Float32Array.from({ length: 64 }, (_, i) => Number(i === 9));
    expect([...sampleMask(single, 8, 2, 1, 0)]).toEqual([1, ...new Array(15).fill(0)]);
    expect([...sampleMask(single, 8, 2, 2, 1)].filter((_, i) => i % 2)).toEqual([
      ...[1, 1, 0, 0],
      ...[1, 1, 0, 0],
      ...new Array(8).fill(0),
    ]);
  });

  it('go on beyond the edge of the picture', () => {
    const mask = boxMask(2, 4, [1, 0, 2, 4]);
    expect([...cutMask(mask, { left: -1, top: 0, side: 4 }, 4)].slice(0, 4)).toEqual([0, 0, 1, 1]);
  });

  it('are softened on the painted side only', () => {
    const mask = boxMask(8, 1, [2, 0, 8, 1]);
    expect([...feather(mask, 0).data]).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
    expect([...feather(mask, 3).data]).toEqual([0, 0, 0.25, 0.5, 0.75, 1, 1, 1]);
    const corner = feather(boxMask(4, 4, [1, 1, 4, 4]), 3).data;
    expect(corner[5]).toBeCloseTo(1 / 3, 6);
    expect(feather({ data: Float32Array.of(0, 1, 1, 1), width: 2, height: 2 }, 1).data[1]).toBeCloseTo(
      Math.SQRT1_2,
      6,
    );
    // A blob beside a scratch: each fades over its own depth.
    const both = boxMask(14, 1, [1, 0, 9, 1]);
    both.data[12] = 1;
    expect([...feather(both, 2).data].map((w) => Math.round(w * 3))).toEqual([
      0, 1, 2, 3, 3, 3, 3, 2, 1, 0, 0, 0, 3, 0,
    ]);
    // A scratch is painted over whole, however far an edge is to fade.
    expect([...feather(boxMask(7, 1, [3, 0, 4, 1]), 9).data]).toEqual([0, 0, 0, 1, 0, 0, 0]);
    expect([...feather(boxMask(7, 1, [2, 0, 5, 1], 0.5), 9).data]).toEqual([0, 0, 0.25, 0.5, 0.25, 0, 0]);
    // Nothing is kept, so there is no edge.
    expect([...feather(boxMask(3, 1, [0, 0, 3, 1]), 5).data]).toEqual([1, 1, 1]);
  });
});
