/** Things followed from frame to frame. */
import { csv } from './csv.js';
import type { Instance } from './instances.js';

export interface TrackPoint {
  readonly frame: number;
  /** The thing's number within the frame. */
  readonly id: number;
  readonly x: number;
  readonly y: number;
  readonly area: number;
}

export interface Track {
  /** From 1, in order of appearance. */
  readonly id: number;
  readonly class: string;
  readonly points: readonly TrackPoint[];
}

export interface TrackOptions {
  /** Frames that a thing may be missing before its track ends; default 3. */
  readonly patience?: number;
  /** Farthest that a thing is looked for from where it is expected, in its diameters; default 1. */
  readonly reach?: number;
}

interface OpenTrack {
  readonly id: number;
  readonly class: string;
  readonly points: TrackPoint[];
  diameter: number;
}

/**
 * Gives things of one class that are near to where a track is expected its number: nearest pairs first, each expected to
 * go on as between its last two points.
 */
export class Tracker {
  private readonly all: OpenTrack[] = [];
  private readonly patience: number;
  private readonly reach: number;

  constructor({ patience = 3, reach = 1 }: TrackOptions = {}) {
    this.patience = patience;
    this.reach = reach;
  }

  /** @returns the track's number of each thing, in their order */
  add(frame: number, things: readonly Instance[]): number[] {
    const open = this.all.filter(
      ({ points }) => frame - points[points.length - 1].frame <= this.patience + 1,
    );
    const pairs = open.flatMap((track) =>
      things.flatMap((thing, i) => {
        if (thing.class !== track.class) return [];
        const [x, y] = expected(track.points, frame);
        const distance = Math.hypot(thing.x - x, thing.y - y);
        const far = this.reach * Math.max(thing.diameter, track.diameter);
        return distance <= far ? [{ track, i, distance }] : [];
      }),
    );
    pairs.sort((a, b) => a.distance - b.distance || a.track.id - b.track.id || a.i - b.i);
    const found = new Map<number, OpenTrack>();
    const taken = new Set<OpenTrack>();
    for (const { track, i } of pairs) {
      if (found.has(i) || taken.has(track)) continue;
      found.set(i, track);
      taken.add(track);
    }
    return things.map((thing, i) => {
      let track = found.get(i);
      if (!track) {
        track = { id: this.all.length + 1, class: thing.class, points: [], diameter: thing.diameter };
        this.all.push(track);
      }
      const { id, x, y, area } = thing;
      track.points.push({ frame, id, x, y, area });
      track.diameter = thing.diameter;
      return track.id;
    });
  }

  get tracks(): readonly Track[] {
    return this.all;
  }
}

/** Where a track goes on at its last pace. */
function expected(points: readonly TrackPoint[], frame: number): [number, number] {
  const last = points[points.length - 1];
  const before = points[points.length - 2];
  if (!before) return [last.x, last.y];
  const pace = (frame - last.frame) / (last.frame - before.frame);
  return [last.x + (last.x - before.x) * pace, last.y + (last.y - before.y) * pace];
}

/** A line for each track and frame. Speeds are pixels a frame since the track's last point. */
export const tracksCsv = (tracks: readonly Track[]): string =>
  csv(
    ['track', 'class', 'frame', 'x', 'y', 'area', 'vx', 'vy'],
    tracks.flatMap(({ id, class: name, points }) =>
      points.map(({ frame, x, y, area }, i) => {
        const last = points[i - 1];
        const speed = (from: number, to: number) => (to - from) / (frame - last.frame);
        return [id, name, frame, x, y, area, last ? speed(last.x, x) : null, last ? speed(last.y, y) : null];
      }),
    ),
  );
