/** What pictures are compared by: the activations of a network that was trained to tell photographs apart. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { readSafetensors } from '../checkpoint/safetensors.js';
import { encodeModel } from '../engine/onnx.js';
import { Session } from '../engine/session.js';
import { RunError } from '../errors.js';
import { readBytes } from '../files/index.js';
import type { RgbPicture } from '../image/index.js';
import { featureNetwork, SIDE, TAPS, type Weight } from './network.js';

const FILE = 'efficientnet-lite0-features.safetensors';

/** Numbers in a picture's features. */
export const FEATURES = 320;

/** Pictures at a time. */
const BATCH = 8;

/** One row of `columns` numbers a picture. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/** Activations of one layer for one picture, [channels, height·width]. */
export interface Activations {
  readonly channels: number;
  readonly data: Float32Array;
}

/** Which network figures were made with: two figures may be compared only if this is the same. */
export interface ExtractorIdentity {
  readonly name: string;
  /** SHA-256 of the weights' file. */
  readonly sha256: string;
  readonly dimensions: number;
  readonly resize: string;
}

/** From src/ as from dist/src/. */
function weightsFile(): string {
  const found = ['../../models', '../../../models']
    .map((folder) => join(import.meta.dirname, folder, FILE))
    .find((file) => existsSync(file));
  if (!found) throw new RunError(`the feature network is missing — models/${FILE} — install Sumi again`);
  return found;
}

/**
 * EfficientNet-Lite0 on ONNX Runtime's CPU provider, whichever engine draws: figures do not depend on `--engine`.
 * Call `dispose` when done.
 */
export class Extractor {
  private constructor(
    private readonly session: Session,
    readonly identity: ExtractorIdentity,
  ) {}

  /**
   * @param options.taps also for `activations`, which takes more memory
   * @throws RunError when the weights are not where Sumi is installed
   */
  static async open(options: { threads?: number; taps?: boolean } = {}): Promise<Extractor> {
    const file = weightsFile();
    const sha256 = createHash('sha256')
      .update(await readBytes(file))
      .digest('hex');
    const { tensors, metadata } = await readSafetensors(file);
    const model = featureNetwork(tensors as ReadonlyMap<string, Weight>, options.taps ?? false);
    const session = await Session.create(encodeModel(model), { threads: options.threads });
    return new Extractor(session, {
      name: metadata.name,
      sha256,
      dimensions: FEATURES,
      resize: `${SIDE}×${SIDE}, sharp: bicubic to enlarge, antialiased Lanczos 3 to reduce`,
    });
  }

  /**
   * @param count how many pictures
   * @param picture picture i, of any size
   * @returns [count, 320]
   * @throws the signal's reason when it aborts
   */
  async features(
    count: number,
    picture: (i: number) => RgbPicture | Promise<RgbPicture>,
    options: { onProgress?: (done: number) => void; signal?: AbortSignal } = {},
  ): Promise<Matrix> {
    const data = new Float32Array(count * FEATURES);
    for (let start = 0; start < count; start += BATCH) {
      options.signal?.throwIfAborted();
      const rows = Math.min(BATCH, count - start);
      const pictures = await Promise.all(Array.from({ length: rows }, (_, k) => picture(start + k)));
      const { features } = await this.run(pictures);
      data.set(features as Float32Array, start * FEATURES);
      options.onProgress?.(start + rows);
    }
    return { rows: count, columns: FEATURES, data };
  }

  /** Activations of a picture at five depths; the extractor must have been opened with `taps`. */
  async activations(picture: RgbPicture): Promise<Activations[]> {
    const outputs = await this.session.runWithShapes({ picture: await batchOf([picture]) });
    return TAPS.map((_, k) => {
      const { data, dims } = outputs[`tap${k}`];
      return { channels: dims[1], data: data as Float32Array };
    });
  }

  private async run(pictures: readonly RgbPicture[]) {
    return this.session.run({ picture: await batchOf(pictures) });
  }

  async dispose(): Promise<void> {
    await this.session.dispose();
  }
}

/** Pictures as the network was trained to see them, [n, 3, 224, 224]: (byte − 127) / 128. */
async function batchOf(pictures: readonly RgbPicture[]) {
  const area = SIDE * SIDE;
  const data = new Float32Array(pictures.length * 3 * area);
  const resized = await Promise.all(pictures.map(resize));
  resized.forEach((bytes, n) => {
    for (let c = 0; c < 3; c++) {
      const plane = data.subarray((n * 3 + c) * area, (n * 3 + c + 1) * area);
      for (let p = 0; p < area; p++) plane[p] = (bytes[p * 3 + c] - 127) / 128;
    }
  });
  return { shape: [pictures.length, 3, SIDE, SIDE], dtype: 'float32' as const, data };
}

async function resize({ data, width, height }: RgbPicture): Promise<Uint8Array> {
  if (width === SIDE && height === SIDE) return data;
  return sharp(data, { raw: { width, height, channels: 3 } })
    .resize(SIDE, SIDE, { fit: 'fill', kernel: width < SIDE ? 'cubic' : 'lanczos3' })
    .raw()
    .toBuffer();
}
