/** Trains a refiner beside a model whose pictures it is to refine, and publishes both as one checkpoint. */
import { join } from 'node:path';
import sharp from 'sharp';
import type { JsonObject } from '../checkpoint/json.js';
import type { PipelineDir } from '../checkpoint/pipeline.js';
import { partsOf, writePipelineDir } from '../checkpoint/write.js';
import type { CompileOptions } from '../engine/compile.js';
import { initParams } from '../engine/params.js';
import { type Scalar, type Tensor4D, tf } from '../engine/tf.js';
import { contactSheet, type RgbPicture, writePng } from '../image/index.js';
import { Extractor, perceptualDistance, psnr } from '../metrics/index.js';
import { Refiner } from '../pipelines/refine.js';
import { Random } from '../random.js';
import { type RefinerNetwork, refine } from '../refiner/index.js';
import { UNET2D_CLASS_NAME } from '../unet/index.js';
import { picturesAStep } from './accumulate.js';
import { edges } from './autoencoder.js';
import { fingerprintOf, runStage, type StageOptions, type StageResult } from './loop.js';
import type { RefineConfig } from './refine-config.js';
import type { Pairs } from './refine-data.js';
import { samplePath } from './run-dir.js';
import type { LossFunction } from './step.js';

/** Mean absolute error of pixels and of neighbouring pixels' differences. Batch: as `Pairs.batch` makes it. */
export function refinerLoss(network: RefinerNetwork, edgeWeight: number): LossFunction {
  return (params, { pictures, target }) => {
    const error = tf.sub(refine(network, params, pictures as Tensor4D), target) as Tensor4D;
    const l1 = tf.mean(tf.abs(error)) as Scalar;
    const [right, down] = edges(error);
    const edge = tf.add(tf.mean(tf.abs(right)), tf.mean(tf.abs(down)));
    return { loss: tf.add(l1, tf.mul(edge, edgeWeight)) as Scalar, metrics: { l1 } };
  };
}

/** As any program would enlarge it: by Lanczos's kernel. */
async function enlarged({ data, width, height }: RgbPicture, scale: number): Promise<RgbPicture> {
  const [w, h] = [width * scale, height * scale];
  const raw = { width, height, channels: 3 as const };
  const pixels = await sharp(data, { raw }).resize(w, h, { kernel: 'lanczos3' }).raw().toBuffer();
  return { data: pixels, width: w, height: h };
}

/** How near pictures come to the originals: means of the PSNR in dB, and of the perceptual distance (0: the same). */
interface Nearness {
  readonly psnr: number;
  readonly perceptual: number;
}

/** How the refiner does on pictures that are held back, beside plain enlargement. */
export interface RefinerScores {
  readonly pictures: number;
  readonly refined: Nearness;
  readonly enlarged: Nearness;
}

async function nearness(
  made: readonly RgbPicture[],
  originals: readonly RgbPicture[],
  extractor: Extractor,
): Promise<Nearness> {
  let [db, distance] = [0, 0];
  for (const [i, picture] of made.entries()) {
    db += psnr(picture, originals[i]);
    distance += await perceptualDistance(extractor, picture, originals[i]);
  }
  const mean = (sum: number, digits: number) => Number((sum / made.length).toFixed(digits));
  return { psnr: mean(db, 2), perceptual: mean(distance, 4) };
}

async function measure(
  network: RefinerNetwork,
  params: Float32Array,
  pairs: Pairs,
  sheet: string,
  options: CompileOptions,
): Promise<RefinerScores> {
  const held = pairs.heldBack();
  const originals = held.map(({ original }) => original);
  const [made, plain]: RgbPicture[][] = [[], []];
  const refiner = new Refiner(network, params, options);
  try {
    for (const { input } of held) {
      made.push(await refiner.run(input));
      plain.push(await enlarged(input, network.scale));
    }
  } finally {
    await refiner.dispose();
  }
  const rows = [plain, made, originals].flatMap((row) => row.slice(0, 8));
  await writePng(sheet, await contactSheet(rows, { columns: Math.min(8, held.length) }));
  const extractor = await Extractor.open({ threads: options.threads, taps: true });
  try {
    const refined = await nearness(made, originals, extractor);
    return { pictures: held.length, refined, enlarged: await nearness(plain, originals, extractor) };
  } finally {
    await extractor.dispose();
  }
}

/**
 * Trains the refiner; the run's `model/`, the model with its refiner, is renewed at every checkpoint.
 * @param base the checkpoint whose pictures it refines
 * @throws as `runStage`
 */
export async function trainRefiner(
  run: string,
  base: PipelineDir,
  network: RefinerNetwork,
  pairs: Pairs,
  dataFingerprint: string,
  config: RefineConfig,
  options: StageOptions,
): Promise<StageResult> {
  const { specs } = network;
  const { engine, threads, onNote } = options;
  return runStage(
    {
      name: 'refiner',
      dir: run,
      settings: config,
      specs,
      loss: refinerLoss(network, config.edge_weight),
      init: () => initParams(specs, new Random(config.seed, 'refiner')),
      batch: (step) => pairs.batch(step),
      fingerprint: fingerprintOf(dataFingerprint, network.config, config.seed, picturesAStep(config)),
      publish: async (ema, step) => {
        const scores = await measure(network, ema, pairs, samplePath(run, step), { engine, threads });
        const { pictures, refined, enlarged } = scores;
        onNote?.(
          `${pictures} pictures ${pairs.held > 0 ? 'held back' : 'of those trained on'}: refined ${refined.psnr} dB, perceptual distance ${refined.perceptual}; enlarged ${enlarged.psnr} dB, ${enlarged.perceptual}`,
        );
        const recipe = { step, held_back: scores, config } as unknown as JsonObject;
        await writePipelineDir(
          join(run, 'model'),
          {
            ...partsOf(base),
            refiner: {
              className: UNET2D_CLASS_NAME,
              config: network.config as unknown as JsonObject,
              weights: { specs, params: ema },
            },
            sumi: { version: 1, ...base.sumi, refiner: recipe },
          },
          options.dtype,
        );
        return { refined_psnr: refined.psnr, refined_perceptual: refined.perceptual };
      },
    },
    options,
  );
}
