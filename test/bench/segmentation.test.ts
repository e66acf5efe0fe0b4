/** How tracks are scored: what a followed thing, a lost one and a swap count. */
import { expect, it } from 'vitest';
import { scoreTracks, sumTracking, type TrackedSpot } from '../../bench/segmentation/scores.js';

const spot = (track: number, frame: number, x: number, name = 'disc'): TrackedSpot => ({
  ...{ track, frame, x, y: 10, area: 78 },
  class: name,
});
const way = (...xs: number[]) => xs.map((x) => ({ x, y: 10 }));
const things = [
  { class: 'disc', way: way(10, 12, 14) },
  { class: 'box', way: way(60, 58, 56) },
];

it('a thing that keeps its number is followed whole', () => {
  const spots = [0, 1, 2].flatMap((i) => [spot(1, i, 10 + 2 * i), spot(2, i, 61 - 2 * i, 'box')]);
  expect(scoreTracks(things, spots)).toEqual({
    ...{ things: 2, sightings: 6, missed: 0, invented: 0, swaps: 0, misnamed: 0, whole: 2 },
    off: 0.5,
  });
});

it('misses, inventions, swaps and wrong classes count where they happen', () => {
  const spots = [
    ...[spot(1, 0, 10), spot(1, 1, 12), spot(3, 2, 14)], // another number in the last frame
    ...[spot(2, 0, 60, 'box'), spot(2, 2, 56, 'disc')], // not seen in the second frame, then misnamed
    spot(4, 1, 30), // where nothing is
  ];
  const scores = scoreTracks(things, spots);
  expect(scores).toEqual({
    ...{ things: 2, sightings: 6, missed: 1, invented: 1, swaps: 1, misnamed: 1, whole: 0 },
    off: 0,
  });
  const far = scoreTracks(things, [spot(1, 0, 16)]); // more than half its diameter away
  expect(far).toMatchObject({ missed: 6, invented: 1 });
  expect(sumTracking([scores, far])).toMatchObject({ things: 4, missed: 7, invented: 2, swaps: 1, off: 0 });
});
