/** Masks of a moving picture's frames, things followed through them, and a film of where they went. */
import { join } from 'node:path';
import sharp from 'sharp';
import type { CompileOptions } from '../engine/compile.js';
import { InputError } from '../errors.js';
import { writeFileAtomic } from '../files/index.js';
import { type RgbPicture, writeAnimation } from '../image/index.js';
import { type ClassTable, hex } from './classes.js';
import { limitSize } from './dataset.js';
import { openClip } from './frames.js';
import { findInstances, type InstanceOptions } from './instances.js';
import { encodeMask } from './masks.js';
import type { SegmentModel } from './model.js';
import { overlay } from './overlay.js';
import { enlarge, type PredictOptions } from './predict.js';
import { mostProbable, type Probabilities, Segmenter } from './segmenter.js';
import { type Track, Tracker, type TrackOptions, tracksCsv } from './tracks.js';

export interface VideoOptions
  extends PredictOptions,
    InstanceOptions,
    TrackOptions,
    Pick<CompileOptions, 'engine' | 'threads'> {
  /**
   * Share that each neighbouring frame's probabilities have beside a frame's own, 0…1: steadier edges, but what moves
   * faster than its size smears. Default 0.25; 0: each frame by itself.
   */
  readonly smooth?: number;
  /** Frames after these are left out. */
  readonly most?: number;
  /** Write the film; default true. */
  readonly film?: boolean;
  /** The program that reads videos. */
  readonly ffmpeg?: string;
  readonly onFrame?: (done: number, total: number | null) => void;
}

export interface VideoReport {
  readonly frames: number;
  readonly width: number;
  readonly height: number;
  /** Milliseconds a frame. */
  readonly delay: number;
  readonly tracks: readonly { id: number; class: string; frames: number; first: number; last: number }[];
  readonly files: { readonly masks: string; readonly tracks: string; readonly film: string | null };
}

/** Longest side of the film's pictures. */
const FILM_SIDE = 480;
/** Frames that a film has at most: they are held in memory until it is written. */
const FILM_FRAMES = 1200;
/** How many frames a thing's way is drawn for. */
const TRAIL = 24;

/** The mean of a frame's probabilities and its neighbours', which count `smooth` each. */
export function smoothFrame(
  before: Probabilities | null,
  frame: Probabilities,
  after: Probabilities | null,
  smooth: number,
): Probabilities {
  const others = [before, after].filter((p) => p !== null);
  if (smooth === 0 || others.length === 0) return frame;
  const total = 1 + smooth * others.length;
  const data = frame.data.map(
    (p, i) => others.reduce((sum, other) => sum + smooth * other.data[i], p) / total,
  );
  return { ...frame, data };
}

/**
 * Tells the parts of each frame apart, follows things from frame to frame, and writes `masks/00000.png` …, `tracks.csv`
 * and `motion.webp`.
 * @throws InputError when the clip cannot be read, or its frames differ in size
 */
export async function predictVideo(
  model: SegmentModel,
  path: string,
  out: string,
  options: VideoOptions = {},
): Promise<VideoReport> {
  const { smooth = 0.25, most = Number.POSITIVE_INFINITY, film = true, signal } = options;
  const { table } = model;
  const clip = await openClip(path, options.ffmpeg);
  const total = clip.count === null ? null : Math.min(clip.count, most);
  const segmenter = new Segmenter(model, options);
  const tracker = new Tracker(options);
  const shown: RgbPicture[] = [];
  let done = 0;
  const finish = async (before: Frame | null, { picture, probabilities }: Frame, after: Frame | null) => {
    const others = [before?.probabilities ?? null, after?.probabilities ?? null] as const;
    const smoothed = smoothFrame(others[0], probabilities, others[1], smooth);
    const labels = mostProbable(smoothed);
    const { list } = findInstances(labels, table, options, smoothed);
    tracker.add(done, list);
    await writeFileAtomic(
      join(out, 'masks', `${String(done).padStart(5, '0')}.png`),
      await encodeMask(labels, table),
    );
    if (film && shown.length < FILM_FRAMES)
      shown.push(await motionPicture(overlay(picture, labels, table), tracker.tracks, done, table));
    done++;
    options.onFrame?.(done, total);
  };
  let [before, current]: (Frame | null)[] = [null, null];
  try {
    for await (const picture of clip.frames) {
      signal?.throwIfAborted();
      if (current && (current.picture.width !== picture.width || current.picture.height !== picture.height)) {
        throw new InputError(
          `a frame of ${picture.width}×${picture.height} after ones of ${current.picture.width}×${current.picture.height} — ${path} — give frames of one size`,
        );
      }
      const next: Frame = { picture, probabilities: await frameProbabilities(segmenter, picture, options) };
      if (current) await finish(before, current, next);
      [before, current] = [current, next];
      if (done + 1 >= most) break;
    }
    if (!current) throw new InputError(`no frames — ${path} — give a moving picture`);
    await finish(before, current, null);
  } finally {
    await segmenter.dispose();
  }
  const files = {
    masks: join(out, 'masks'),
    tracks: join(out, 'tracks.csv'),
    film: film ? join(out, 'motion.webp') : null,
  };
  await writeFileAtomic(files.tracks, tracksCsv(tracker.tracks));
  if (files.film) await writeAnimation(files.film, shown, { delay: clip.delay, hold: clip.delay });
  const { width, height } = current.picture;
  const tracks = tracker.tracks.map(({ id, class: name, points }) => {
    const [first, last] = [points[0].frame, points[points.length - 1].frame];
    return { id, class: name, frames: points.length, first, last };
  });
  return { frames: done, width, height, delay: clip.delay, tracks, files };
}

interface Frame {
  readonly picture: RgbPicture;
  readonly probabilities: Probabilities;
}

async function frameProbabilities(
  segmenter: Segmenter,
  picture: RgbPicture,
  { resize = segmenter.model.resize, ...options }: PredictOptions,
): Promise<Probabilities> {
  const size = limitSize(picture, resize);
  if (size.width === picture.width) return segmenter.probabilities(picture, options);
  const { data } = await sharp(picture.data, {
    raw: { width: picture.width, height: picture.height, channels: 3 },
  })
    .resize(size.width, size.height, { fit: 'fill' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const small = { data: new Uint8Array(data), ...size };
  return enlarge(await segmenter.probabilities(small, options), picture);
}

/** A frame with the ways of the things that are in it, and their numbers. */
async function motionPicture(
  picture: RgbPicture,
  tracks: readonly Track[],
  frame: number,
  { classes }: ClassTable,
): Promise<RgbPicture> {
  const size = limitSize(picture, FILM_SIDE);
  const scale = size.width / picture.width;
  const font = Math.max(8, Math.round(Math.max(size.width, size.height) / 28));
  const marks = tracks.flatMap(({ id, class: name, points }) => {
    const last = points[points.length - 1];
    if (last.frame !== frame) return [];
    const way = points.filter((p) => frame - p.frame <= TRAIL).map(({ x, y }) => `${x * scale},${y * scale}`);
    const colour = hex(classes.find((c) => c.name === name)?.colour ?? 0xffffff);
    const [x, y] = [last.x * scale, last.y * scale];
    const text = `x="${x + 3}" y="${y - 3}" font-family="sans-serif" font-weight="bold" font-size="${font}"`;
    return [
      `<polyline points="${way.join(' ')}" fill="none" stroke="#000" stroke-width="3"/>`,
      `<polyline points="${way.join(' ')}" fill="none" stroke="#fff" stroke-width="1.5"/>`,
      `<circle cx="${x}" cy="${y}" r="2.5" fill="${colour}" stroke="#fff"/>`,
      `<text ${text} fill="#fff" stroke="#000" stroke-width="3" paint-order="stroke">${id}</text>`,
    ];
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}">${marks.join('')}</svg>`;
  const raw = { width: picture.width, height: picture.height, channels: 3 as const };
  // Resized first: sharp would composite before it resizes.
  const resized = await sharp(picture.data, { raw })
    .resize(size.width, size.height, { fit: 'fill' })
    .raw()
    .toBuffer();
  const drawn = await sharp(resized, { raw: { ...size, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .raw()
    .toBuffer();
  return { data: new Uint8Array(drawn), ...size };
}
