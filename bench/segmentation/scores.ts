/** How well things were followed, against what is known of rendered clips. */

export interface Spot {
  readonly x: number;
  readonly y: number;
}

/** A thing's way: where it is in each frame. */
export type Way = readonly Spot[];

export interface TrackedSpot extends Spot {
  readonly track: number;
  readonly class: string;
  readonly frame: number;
  readonly area: number;
}

export interface TrackingScores {
  readonly things: number;
  /** Things in frames. */
  readonly sightings: number;
  /** Sightings without a tracked spot within half its diameter of the thing's middle. */
  readonly missed: number;
  /** Tracked spots that are no thing's. */
  readonly invented: number;
  /** Sightings under another number than the thing's last. */
  readonly swaps: number;
  /** Sightings under a wrong class. */
  readonly misnamed: number;
  /** Things with one number from the first frame to the last. */
  readonly whole: number;
  /** Mean distance of middles in pixels. */
  readonly off: number;
}

/** Counts as in CLEAR MOT (Bernardin & Stiefelhagen 2008), for things that keep apart. */
export function scoreTracks(
  things: readonly { readonly class: string; readonly way: Way }[],
  spots: readonly TrackedSpot[],
): TrackingScores {
  const used = new Set<TrackedSpot>();
  let [sightings, missed, swaps, misnamed, whole, off] = [0, 0, 0, 0, 0, 0];
  for (const { class: name, way } of things) {
    let last: number | null = null;
    let kept = 0;
    way.forEach(({ x, y }, frame) => {
      sightings++;
      const distance = (spot: TrackedSpot) => Math.hypot(spot.x - x, spot.y - y);
      const near = spots
        .filter((s) => s.frame === frame && distance(s) <= Math.sqrt(s.area / Math.PI))
        .sort((a, b) => distance(a) - distance(b));
      const [spot] = near;
      if (!spot) {
        missed++;
        return;
      }
      used.add(spot);
      off += distance(spot);
      if (spot.class !== name) misnamed++;
      if (last !== null && spot.track !== last) swaps++;
      else kept++;
      last = spot.track;
    });
    if (kept === way.length) whole++;
  }
  const invented = spots.length - used.size;
  const found = sightings - missed;
  return { things: things.length, sightings, missed, invented, swaps, misnamed, whole, off: off / found };
}

/** Sums of scores of several clips; the distance is weighted by what was found. */
export function sumTracking(clips: readonly TrackingScores[]): TrackingScores {
  const sum = (of: (scores: TrackingScores) => number) => clips.reduce((total, c) => total + of(c), 0);
  const found = (c: TrackingScores) => c.sightings - c.missed;
  return {
    things: sum((c) => c.things),
    sightings: sum((c) => c.sightings),
    missed: sum((c) => c.missed),
    invented: sum((c) => c.invented),
    swaps: sum((c) => c.swaps),
    misnamed: sum((c) => c.misnamed),
    whole: sum((c) => c.whole),
    off: sum((c) => (found(c) > 0 ? c.off * found(c) : 0)) / sum(found),
  };
}
