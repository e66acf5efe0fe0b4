/** What a refiner learns from: pictures, and what a model makes of them at its own size. */
import { readFile } from 'node:fs/promises';
import { BatchOrder, type Dataset, pictureAt } from '../data/index.js';
import type { Feed } from '../engine/session.js';
import { writeFileAtomic } from '../files/index.js';
import { mirror, type RgbPicture, toFloat } from '../image/index.js';
import { type DiffusionPipeline, img2img } from '../pipelines/index.js';
import { Random } from '../random.js';
import { picturesAStep } from './accumulate.js';
import type { RefineConfig } from './refine-config.js';

/** Strengths that pictures are redrawn at: as many at each, evenly from 0 to the largest. */
const STRENGTHS = 6;

/**
 * Draws a dataset's pictures anew with a model, each at a strength of its own (Meng et al. 2022, "SDEdit"): at 0 only the
 * autoencoder changes it, at the largest it is the model's own drawing of the same picture.
 * @param small the pictures at the model's size
 * @param file where the result is kept, so that a resumed run need not draw again
 * @returns RGB bytes, as `small.pixels`
 * @throws the signal's reason when it aborts
 */
export async function redrawn(
  small: Dataset,
  pipeline: DiffusionPipeline,
  { strength, redraw_steps: steps, seed }: RefineConfig,
  file: string,
  { signal, onDone }: { signal?: AbortSignal; onDone?: (done: number, total: number) => void },
): Promise<Uint8Array> {
  const known = await readFile(file).catch(() => null);
  if (known?.length === small.pixels.length) return known;
  const out = new Uint8Array(small.pixels.length);
  const each = small.size ** 2 * 3;
  for (let i = 0; i < small.count; i++) {
    signal?.throwIfAborted();
    const wanted = (strength * new Random(seed, 'strength', i).int(STRENGTHS)) / (STRENGTHS - 1);
    const label = small.labels[small.labelIds[i]] as string | undefined;
    const told = pipeline.labels.includes(label ?? '')
      ? { label }
      : pipeline.model.text
        ? { prompt: label ?? '' }
        : {};
    // A picture of no known class would be drawn as one of another.
    const classless = pipeline.labels.length > 0 && told.label === undefined;
    const calls = classless ? 0 : Math.round(wanted * steps);
    const [picture] = await img2img(pipeline, {
      ...told,
      image: pictureAt(small, i),
      strength: calls / steps,
      steps,
      seed: i,
      refine: false,
      signal,
    });
    out.set(picture.data, i * each);
    onDone?.(i + 1, small.count);
  }
  await writeFileAtomic(file, out);
  return out;
}

/** Pairs of a redrawn picture and the larger original, some of them held back. */
export class Pairs {
  /** How many are held back, and how many trained on. */
  readonly held: number;
  readonly trained: number;
  private readonly shuffled: Uint32Array;
  private readonly order: BatchOrder;

  /** @param inputs of `redrawn`, for pictures of side `size` */
  constructor(
    private readonly large: Dataset,
    private readonly inputs: Uint8Array,
    private readonly size: number,
    private readonly config: RefineConfig,
  ) {
    this.held = Math.min(64, Math.round(large.count * config.held_back));
    this.trained = large.count - this.held;
    this.shuffled = new Random(config.seed, 'held back').permutation(large.count);
    this.order = new BatchOrder(this.trained, picturesAStep(config), config.seed);
  }

  /** Inputs of step `step` (from 1): `pictures` [N, h, w, 3] and `target` [N, scale·h, scale·w, 3], half of them mirrored. */
  batch(step: number): Record<string, Feed> {
    const { indices } = this.order.at(step - 1);
    const mirrored = new Random(this.config.seed, 'mirrored', step).uniform(indices.length);
    const [small, large] = [this.size, this.large.size];
    const pictures = new Float32Array(indices.length * small * small * 3);
    const target = new Float32Array(indices.length * large * large * 3);
    indices.forEach((index, k) => {
      const { input, original } = this.at(this.shuffled[index]);
      const flip = mirrored[k] < 0.5;
      pictures.set(toFloat(flip ? mirror(input.data, small) : input.data), k * small * small * 3);
      target.set(toFloat(flip ? mirror(original.data, large) : original.data), k * large * large * 3);
    });
    return {
      pictures: { data: pictures, shape: [indices.length, small, small, 3], dtype: 'float32' },
      target: { data: target, shape: [indices.length, large, large, 3], dtype: 'float32' },
    };
  }

  /** What is held back, or, of very few pictures, what there is. */
  heldBack(): { input: RgbPicture; original: RgbPicture }[] {
    const [from, most] = this.held > 0 ? [this.trained, this.held] : [0, 64];
    return Array.from(this.shuffled.subarray(from, from + most), (index) => this.at(index));
  }

  private at(index: number): { input: RgbPicture; original: RgbPicture } {
    const each = this.size ** 2 * 3;
    const data = this.inputs.subarray(index * each, (index + 1) * each);
    return { input: { data, width: this.size, height: this.size }, original: pictureAt(this.large, index) };
  }
}
